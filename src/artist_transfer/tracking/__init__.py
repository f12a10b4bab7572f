"""What a run leaves in MLflow, and what is kept of it while MLflow is away."""
