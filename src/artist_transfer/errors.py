"""The errors a user can catch, and the one warning a user should read."""


class ArtistTransferError(Exception):
    """What is wrong, where (file, row, dotted key), and what is allowed."""


class NothingToFit(ArtistTransferError):  # noqa: N818  (a fold without it is a result, not a mistake)
    """Why a fold's training tracks have nothing to fit, as a clause: ``none of the 12 training tracks has …``."""


class ArtistTransferWarning(UserWarning):
    """Something that does not stop the run but that its reader has to know."""
