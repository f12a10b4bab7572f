"""The one error a user can catch, and the one warning a user should read."""


class ArtistTransferError(Exception):
    """What is wrong, where (file, row, dotted key), and what is allowed."""


class ArtistTransferWarning(UserWarning):
    """Something that does not stop the run but that its reader has to know."""
