"""The errors a user can catch, and the one warning a user should read."""


class ArtistTransferError(Exception):
    """What is wrong, where (file, row, dotted key), and what is allowed."""


class NothingToFit(ArtistTransferError):  # noqa: N818  (a fold without it is a result, not a mistake)
    """Why a fold's training tracks have nothing to fit, as a clause: ``none of the 12 training tracks has …``."""


class DeviceLost(Exception):  # noqa: N818
    """A GPU that has failed under this process: nothing can be computed there until it is started again.

    No `ArtistTransferError`, so that what counts the failure of one net or case and goes on to the next ends too.
    """


class DiskFull(DeviceLost):
    """A disk without room: whatever would follow could be computed, but not kept."""


class ArtistTransferWarning(UserWarning):
    """Something that does not stop the run but that its reader has to know."""
