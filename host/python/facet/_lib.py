# SPDX-License-Identifier: Apache-2.0
"""libfacet by ctypes: the structs and functions of facet.h, and nothing more."""

import ctypes
import os
from ctypes import POINTER, c_bool, c_char, c_char_p, c_double, c_float, c_int, c_int32, c_int64
from ctypes import c_size_t, c_uint8, c_uint32, c_uint64, c_void_p

SONAME = "libfacet.so.0"


class LibraryMissing(ImportError):
    """libfacet.so.0 was not found: install it, or name its file in FACET_LIBRARY."""


class Sized(ctypes.Structure):
    """A struct that begins with its size."""

    def __init__(self, **members):
        super().__init__(**members)
        self.size = ctypes.sizeof(self)


class Error(ctypes.Structure):
    _fields_ = [("code", c_int), ("retryable", c_bool), ("retry_after_ms", c_uint32),
                ("text", c_char * 256)]


class Params(Sized):
    _fields_ = [("size", c_size_t), ("software", c_char_p), ("timeout_ms", c_uint32),
                ("reconnect_ms", c_uint32), ("in_flight", c_uint32), ("no_reconnect", c_bool)]


class Call(Sized):
    _fields_ = [("size", c_size_t), ("timeout_ns", c_uint64), ("tag", c_uint64),
                ("trace", c_uint64), ("class_", c_int), ("user", c_void_p)]


class Threshold(ctypes.Structure):
    _fields_ = [("fmr", c_double), ("score", c_float), ("impostor_pairs", c_uint64)]


class Space(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("digest", c_uint8 * 32), ("dim", c_uint32),
                ("metric", c_int), ("threshold_count", c_uint32),
                ("thresholds", POINTER(Threshold))]


class TensorInfo(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("type", c_int), ("rank", c_uint32),
                ("shape", POINTER(c_uint32)), ("elements", c_uint64)]


class ModelInfo(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("digest", c_uint8 * 32), ("space", POINTER(Space)),
                ("input_count", c_uint32), ("output_count", c_uint32),
                ("inputs", POINTER(TensorInfo)), ("outputs", POINTER(TensorInfo)),
                ("macs", c_uint64), ("weight_bytes", c_uint64), ("ops", c_uint32),
                ("cosine_to_float", c_float)]


class Models(ctypes.Structure):
    _fields_ = [("count", c_uint32), ("items", POINTER(ModelInfo))]


class GalleryInfo(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("model", c_char_p), ("space", POINTER(Space)),
                ("state", c_char_p), ("percent", c_uint32), ("text", c_char_p),
                ("templates", c_uint64), ("subjects", c_uint64), ("epoch", c_uint64),
                ("resident_bytes", c_uint64), ("disk_bytes", c_uint64), ("keep_int8_only", c_bool),
                ("host", c_char_p)]


class Galleries(ctypes.Structure):
    _fields_ = [("count", c_uint32), ("items", POINTER(GalleryInfo))]


class DeviceInfo(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("kind", c_char_p), ("health", c_char_p),
                ("detail", c_char_p), ("jobs", c_uint64), ("busy_ns", c_uint64),
                ("queued", c_uint32)]


class Info(ctypes.Structure):
    _fields_ = [("version", c_char_p), ("instance", c_uint64), ("uptime_ns", c_uint64),
                ("ready", c_bool), ("draining", c_bool), ("connections", c_uint32),
                ("queued", c_uint32), ("queue_limit", c_uint32), ("device_count", c_uint32),
                ("gallery_count", c_uint32), ("model_count", c_uint32),
                ("devices", POINTER(DeviceInfo)), ("galleries", POINTER(GalleryInfo)),
                ("models", POINTER(ModelInfo)), ("metrics", c_char_p)]


class GalleryParams(Sized):
    _fields_ = [("size", c_size_t), ("model", c_char_p), ("space", c_char_p), ("dim", c_uint32),
                ("metric", c_int), ("keep_int8_only", c_bool), ("options", c_uint64)]


class Deleted(Sized):
    _fields_ = [("size", c_size_t), ("templates", c_uint64), ("subjects", c_uint64),
                ("epoch", c_uint64), ("replayed", c_bool)]


class DeleteParams(Sized):
    _fields_ = [("size", c_size_t), ("dry_run", c_bool), ("key", c_char_p)]


class Probe(Sized):
    _fields_ = [("size", c_size_t), ("kind", c_int), ("type", c_int), ("count", c_uint32),
                ("dim", c_uint32), ("data", c_void_p), ("model", c_char_p)]


class EnrolParams(Sized):
    _fields_ = [("size", c_size_t), ("ids", c_void_p), ("tags", c_void_p),
                ("sources", POINTER(c_char_p)), ("source_count", c_uint32), ("key", c_char_p)]


class Enrolled(Sized):
    _fields_ = [("size", c_size_t), ("epoch", c_uint64), ("replayed", c_bool)]


class SearchParams(Sized):
    _fields_ = [("size", c_size_t), ("by_subject", c_bool), ("tag_mask", c_uint64),
                ("tag_value", c_uint64), ("has_threshold", c_bool), ("threshold", c_float),
                ("fmr", c_double), ("rerank", c_uint32)]


class Hits(ctypes.Structure):
    _fields_ = [("queries", c_uint32), ("lims", POINTER(c_uint64)), ("scores", POINTER(c_float)),
                ("ids", POINTER(c_int64)), ("subjects", POINTER(c_char_p)), ("decided", c_bool),
                ("threshold", c_float)]


class VerifyParams(Sized):
    _fields_ = [("size", c_size_t), ("has_threshold", c_bool), ("threshold", c_float),
                ("fmr", c_double), ("metric", c_int)]


class Verdict(Sized):
    _fields_ = [("size", c_size_t), ("score", c_float), ("id", c_uint64), ("decided", c_bool),
                ("match", c_bool), ("threshold", c_float)]


class Output(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("bytes", c_size_t)]


class Outputs(ctypes.Structure):
    _fields_ = [("count", c_uint32), ("items", POINTER(Output))]


class Requant(ctypes.Structure):
    _fields_ = [("s_pos", c_void_p), ("s_neg", c_void_p), ("s_r", c_float), ("z_r", c_int32),
                ("z", c_int32), ("lo", c_int32), ("hi", c_int32)]


class Gemm(Sized):
    _fields_ = [("size", c_size_t), ("m", c_uint32), ("n", c_uint32), ("k", c_uint32),
                ("out", c_int), ("q", Requant), ("a", c_void_p), ("b", c_void_p),
                ("bias", c_void_p), ("residual", c_void_p)]


class Conv2d(Sized):
    _fields_ = ([("size", c_size_t)]
                + [(name, c_uint32) for name in (
                    "n", "h", "w", "c", "oc", "kh", "kw", "groups", "stride_h", "stride_w",
                    "dilation_h", "dilation_w", "pad_top", "pad_left", "pad_bottom",
                    "pad_right")]
                + [("z_x", c_int32), ("out", c_int), ("q", Requant), ("x", c_void_p),
                   ("weights", c_void_p), ("bias", c_void_p), ("residual", c_void_p)])


class TemplateInfo(ctypes.Structure):
    _fields_ = [("id", c_uint64), ("tags", c_uint64), ("epoch", c_uint64), ("source", c_char_p)]


class Subject(ctypes.Structure):
    _fields_ = [("subject", c_char_p), ("templates", c_uint32), ("item_count", c_uint32),
                ("items", POINTER(TemplateInfo))]


class Subjects(ctypes.Structure):
    _fields_ = [("count", c_uint32), ("items", POINTER(Subject)), ("cursor", c_uint64),
                ("more", c_bool)]


class Page(ctypes.Structure):
    _fields_ = [("count", c_uint32), ("dim", c_uint32), ("type", c_int), ("vectors", c_void_p),
                ("items", POINTER(TemplateInfo)), ("subjects", POINTER(c_char_p)),
                ("cursor", c_uint64), ("more", c_bool)]


_TEXTS = POINTER(c_char_p)
_SEARCH = [c_void_p, c_char_p, c_uint32, c_uint32, c_void_p, c_uint32, POINTER(SearchParams)]

# The arguments of every function that is used; all return int.
_FUNCTIONS = {
    "facet_connect": [c_char_p, POINTER(Params), POINTER(c_void_p)],
    "facet_defaults": [c_void_p, POINTER(Call)],
    "facet_ping": [c_void_p, c_char_p, c_size_t, c_void_p],
    "facet_info": [c_void_p, c_uint32, POINTER(POINTER(Info))],
    "facet_model_create": [c_void_p, c_char_p, c_char_p, POINTER(POINTER(Models))],
    "facet_model_list": [c_void_p, c_char_p, POINTER(POINTER(Models))],
    "facet_model_delete": [c_void_p, c_char_p, c_bool],
    "facet_gallery_create": [c_void_p, c_char_p, POINTER(GalleryParams)],
    "facet_gallery_list": [c_void_p, c_char_p, POINTER(POINTER(Galleries))],
    "facet_gallery_delete": [c_void_p, c_char_p, POINTER(DeleteParams), POINTER(Deleted)],
    "facet_subject_delete": [c_void_p, c_char_p, c_char_p, POINTER(DeleteParams),
                             POINTER(Deleted)],
    "facet_template_delete": [c_void_p, c_char_p, c_void_p, c_uint32, POINTER(DeleteParams),
                              POINTER(Deleted)],
    "facet_thresholds": [c_void_p, c_char_p, c_char_p, POINTER(Threshold), c_uint32,
                         POINTER(POINTER(Space))],
    "facet_enrol": [c_void_p, c_char_p, POINTER(Probe), _TEXTS, c_uint32, POINTER(EnrolParams),
                    c_void_p, POINTER(Enrolled)],
    "facet_search": _SEARCH + [c_void_p, c_void_p],
    "facet_range_search": _SEARCH + [POINTER(POINTER(Hits))],
    "facet_identify": [c_void_p, c_char_p, POINTER(Probe), c_uint32, POINTER(SearchParams),
                       POINTER(POINTER(Hits))],
    "facet_verify": [c_void_p, c_char_p, c_char_p, POINTER(Probe), POINTER(VerifyParams),
                     POINTER(Verdict)],
    "facet_compare": [c_void_p, POINTER(Probe), POINTER(Probe), POINTER(VerifyParams), c_void_p,
                      POINTER(Verdict)],
    "facet_infer": [c_void_p, c_char_p, c_uint32, c_void_p, c_size_t,
                    POINTER(POINTER(Outputs))],
    "facet_gemm_s8": [c_void_p, POINTER(Gemm), c_void_p],
    "facet_conv2d_s8": [c_void_p, POINTER(Conv2d), c_void_p],
    "facet_subject_list": [c_void_p, c_char_p, c_uint64, c_uint32, POINTER(POINTER(Subjects))],
    "facet_subject_show": [c_void_p, c_char_p, c_char_p, POINTER(POINTER(Subjects))],
    "facet_export": [c_void_p, c_char_p, c_uint64, c_uint32, POINTER(POINTER(Page))],
}


def load():
    """The library, from FACET_LIBRARY or where the system looks for libraries."""
    name = os.environ.get("FACET_LIBRARY") or SONAME
    try:
        lib = ctypes.CDLL(name)
    except OSError as error:
        raise LibraryMissing(f"{error}: install libfacet, or name its file in FACET_LIBRARY") from None
    for function, arguments in _FUNCTIONS.items():
        getattr(lib, function).argtypes = arguments
        getattr(lib, function).restype = c_int
    lib.facet_close.argtypes = [c_void_p]
    lib.facet_close.restype = None
    lib.facet_free.argtypes = [c_void_p]
    lib.facet_free.restype = None
    lib.facet_error.argtypes = [c_void_p]
    lib.facet_error.restype = POINTER(Error)
    lib.facet_conv2d_bytes.argtypes = [POINTER(Conv2d)]
    lib.facet_conv2d_bytes.restype = c_size_t
    return lib
