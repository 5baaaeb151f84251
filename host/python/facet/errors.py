# SPDX-License-Identifier: Apache-2.0
"""What may go wrong, one class a code of facet.h."""


class Error(Exception):
    """A call failed: code (of facet.h), retryable, retry_after (seconds), text."""

    code = 0

    def __init__(self, text, code=None, retryable=False, retry_after=0.0):
        super().__init__(text)
        self.text = text
        self.code = code if code is not None else type(self).code
        self.retryable = retryable
        self.retry_after = retry_after


class Cancelled(Error):
    code = 1


class InvalidArgument(Error, ValueError):
    code = 2


class NotFound(Error, LookupError):
    code = 3


class AlreadyExists(Error):
    code = 4


class PermissionDenied(Error):
    code = 5


class DeadlineExceeded(Error, TimeoutError):
    code = 6


class Overloaded(Error):
    code = 7


class FailedPrecondition(Error):
    code = 8


class Aborted(Error):
    code = 9


class Unavailable(Error, ConnectionError):
    code = 10


class DataLoss(Error):
    code = 11


class Unimplemented(Error):
    code = 12


class Internal(Error):
    code = 13


BY_CODE = {cls.code: cls for cls in Error.__subclasses__()}
