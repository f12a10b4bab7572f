"""The study of task combinations: its cases, its paired comparisons, its choices."""
