# SPDX-License-Identifier: Apache-2.0
"""Facet: a client of facetd.

    import facet
    c = facet.Client()
    c.gallery_create("staff", dim=128)
    c.enrol("staff", vectors, subjects=names)
    scores, ids = c.search("staff", queries, k=5)

Arrays are numpy's, float32 vectors as [n][dim]. Errors are facet.Error (with code, retryable and
retry_after), in subclasses by code: facet.NotFound, facet.Overloaded and so on. A Client may be used
by one thread at a time, and not by a child after fork().
"""

from ._lib import LibraryMissing
from .client import BATCH, CLASS_DEFAULT, COSINE, DOT, INTERACTIVE, L2, Client, Hits, Page, Verdict
from .errors import (
    Aborted,
    AlreadyExists,
    Cancelled,
    DataLoss,
    DeadlineExceeded,
    Error,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    Overloaded,
    PermissionDenied,
    Unavailable,
    Unimplemented,
)

__version__ = "0.1.0"
__all__ = [
    "Aborted", "AlreadyExists", "BATCH", "CLASS_DEFAULT", "COSINE", "Cancelled", "Client", "DOT",
    "DataLoss", "DeadlineExceeded", "Error", "FailedPrecondition", "Hits", "INTERACTIVE", "Internal",
    "InvalidArgument", "L2", "LibraryMissing", "NotFound", "Overloaded", "Page",
    "PermissionDenied", "Unavailable", "Unimplemented", "Verdict",
]
