# SPDX-License-Identifier: Apache-2.0
"""The client: numpy arrays in and out."""

import ctypes
import os
from dataclasses import dataclass, field
from typing import List, Optional

import numpy as np

from . import _lib
from .errors import BY_CODE, Error

COSINE, DOT, L2 = 0, 1, 2
CLASS_DEFAULT, BATCH, INTERACTIVE = 0, 1, 2
_TYPES = {np.dtype(np.float32): 0, np.dtype(np.int8): 1, np.dtype(np.uint8): 2,
          np.dtype(np.int32): 3}
_DTYPES = {number: dtype for dtype, number in _TYPES.items()}
_INFO_ALL = 15


@dataclass
class Hits:
    """Hits of several queries: those of query i are scores[i], ids[i], subjects[i], best first."""

    scores: List[np.ndarray]
    ids: List[np.ndarray]
    subjects: Optional[List[List[str]]]
    decided: bool  # a threshold applied: a hit is a match; otherwise hits are candidates
    threshold: float


@dataclass
class Verdict:
    score: float
    id: int
    decided: bool
    match: bool
    threshold: float


@dataclass
class Page:
    """Records of a gallery, in the order of enrolment."""

    vectors: np.ndarray
    ids: np.ndarray
    tags: np.ndarray
    subjects: List[str]
    sources: List[str] = field(default_factory=list)
    cursor: int = 0
    more: bool = False


def _utf8(text):
    return None if text is None else os.fsencode(text)


def _texts(texts):
    return (ctypes.c_char_p * max(len(texts), 1))(*[t.encode() for t in texts])


def _str(value):
    return value.decode() if value is not None else ""


def _array(pointer, count, dtype):
    """A copy of count elements at a pointer of the library's."""
    out = np.empty(count, dtype)
    if count:
        ctypes.memmove(out.ctypes.data, pointer, out.nbytes)
    return out


def _vectors(x):
    x = np.asarray(x)
    if x.dtype != np.int8:
        x = x.astype(np.float32, copy=False)
    if x.ndim == 1:
        x = x[np.newaxis]
    if x.ndim != 2:
        raise ValueError("vectors are an array of [n][dim]")
    return np.ascontiguousarray(x)


def _u64(values, count):
    if values is None:
        return None
    values = np.ascontiguousarray(values, np.uint64)
    if values.shape != (count,):
        raise ValueError(f"one number a vector: {count}")
    return values


def _address(array):
    return None if array is None else array.ctypes.data


def _probe(x, model=None, tensors=False):
    """A probe, and the array that it points into."""
    if model is None and not tensors:
        x = _vectors(x)
    else:
        x = np.ascontiguousarray(x)
        if x.dtype not in _TYPES or x.ndim < 2:
            raise ValueError("tensors are [n][...] of float32, int8 or uint8")
    dim = int(np.prod(x.shape[1:], dtype=np.int64))
    kind = 1 if model is not None or tensors else 0
    probe = _lib.Probe(kind=kind, type=_TYPES[x.dtype], count=len(x), dim=dim,
                       data=x.ctypes.data, model=_utf8(model))
    return probe, x


def _search_params(by_subject, tags, threshold, fmr, rerank):
    params = _lib.SearchParams(by_subject=by_subject, fmr=fmr or 0, rerank=rerank)
    if tags is not None:
        params.tag_mask, params.tag_value = tags
    if threshold is not None:
        params.has_threshold, params.threshold = True, threshold
    return params


def _verify_params(threshold, fmr, metric=COSINE):
    params = _lib.VerifyParams(fmr=fmr or 0, metric=metric)
    if threshold is not None:
        params.has_threshold, params.threshold = True, threshold
    return params


def _space(pointer):
    if not pointer:
        return None
    space = pointer.contents
    return {"name": _str(space.name), "digest": bytes(space.digest), "dim": space.dim,
            "metric": space.metric,
            "thresholds": [{"fmr": t.fmr, "score": t.score, "impostor_pairs": t.impostor_pairs}
                           for t in space.thresholds[:space.threshold_count]]}


def _tensor(info):
    return {"name": _str(info.name), "dtype": _DTYPES[info.type],
            "shape": tuple(info.shape[:info.rank])}


def _model(info):
    return {"name": _str(info.name), "digest": bytes(info.digest), "space": _space(info.space),
            "inputs": [_tensor(t) for t in info.inputs[:info.input_count]],
            "outputs": [_tensor(t) for t in info.outputs[:info.output_count]],
            "macs": info.macs, "weight_bytes": info.weight_bytes, "ops": info.ops,
            "cosine_to_float": info.cosine_to_float}


def _gallery(info):
    return {"name": _str(info.name), "model": _str(info.model), "space": _space(info.space),
            "state": _str(info.state), "percent": info.percent, "text": _str(info.text),
            "templates": info.templates, "subjects": info.subjects, "epoch": info.epoch,
            "resident_bytes": info.resident_bytes, "disk_bytes": info.disk_bytes,
            "keep_int8_only": info.keep_int8_only, "host": _str(info.host)}


def _device(info):
    return {"name": _str(info.name), "kind": _str(info.kind), "health": _str(info.health),
            "detail": _str(info.detail), "jobs": info.jobs, "busy_ns": info.busy_ns,
            "queued": info.queued}


def _template(info):
    return {"id": info.id, "tags": info.tags, "epoch": info.epoch, "source": _str(info.source)}


class Client:
    """A connection to facetd. Without a path: $FACET_SOCKET, or the default socket.

    timeout is of each call, in seconds; tag and trace show in the daemon's logs and metrics.
    """

    def __init__(self, path=None, *, timeout=None, tag=0, trace=0, cls=CLASS_DEFAULT,
                 connect_timeout=None, reconnect_timeout=None):
        self._c = ctypes.c_void_p()
        self._api = _lib.load()
        params = _lib.Params(software=b"python facet 0.1.0",
                             timeout_ms=int((connect_timeout or 0) * 1000),
                             reconnect_ms=int((reconnect_timeout or 0) * 1000))
        self._check(self._api.facet_connect(_utf8(path), params, self._c))
        self.defaults(timeout=timeout, tag=tag, trace=trace, cls=cls)

    def close(self):
        """Ends the connection; further calls are errors."""
        if self._c:
            self._api.facet_close(self._c)
        self._c = ctypes.c_void_p()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if getattr(self, "_c", None):
            self.close()

    def _check(self, result):
        if not result:
            return
        error = self._api.facet_error(self._c).contents
        raise BY_CODE.get(error.code, Error)(error.text.decode(errors="replace"), error.code,
                                             error.retryable, error.retry_after_ms / 1000)

    def _call(self, name, *arguments):
        if not self._c:
            raise ValueError("the client is closed")
        self._check(getattr(self._api, name)(self._c, *arguments))

    def _result(self, kind, convert, name, *arguments):
        """A call whose last argument takes a result of the library's."""
        pointer = ctypes.POINTER(kind)()
        self._call(name, *arguments, ctypes.byref(pointer))
        try:
            return convert(pointer.contents)
        finally:
            self._api.facet_free(pointer)

    def defaults(self, *, timeout=None, tag=0, trace=0, cls=CLASS_DEFAULT):
        """How all later calls are made."""
        self._call("facet_defaults", _lib.Call(timeout_ns=int((timeout or 0) * 1e9), tag=tag,
                                               trace=trace, class_=cls))

    # ---- the daemon

    def ping(self, payload=b""):
        reply = ctypes.create_string_buffer(max(len(payload), 1))
        self._call("facet_ping", payload, len(payload), reply)
        return reply.raw[:len(payload)]

    def info(self):
        def convert(i):
            return {"version": _str(i.version), "instance": i.instance,
                    "uptime": i.uptime_ns / 1e9, "ready": i.ready, "draining": i.draining,
                    "connections": i.connections, "queued": i.queued,
                    "queue_limit": i.queue_limit,
                    "devices": [_device(d) for d in i.devices[:i.device_count]],
                    "galleries": [_gallery(g) for g in i.galleries[:i.gallery_count]],
                    "models": [_model(m) for m in i.models[:i.model_count]],
                    "metrics": _str(i.metrics)}

        return self._result(_lib.Info, convert, "facet_info", _INFO_ALL)

    # ---- models and galleries

    def model_create(self, name, path):
        return self._result(_lib.Models, lambda m: _model(m.items[0]), "facet_model_create",
                            name.encode(), _utf8(path))

    def model_list(self, name=None):
        return self._result(_lib.Models, lambda m: [_model(x) for x in m.items[:m.count]],
                            "facet_model_list", _utf8(name))

    def model_delete(self, name, dry_run=False):
        self._call("facet_model_delete", name.encode(), dry_run)

    def gallery_create(self, name, *, model=None, dim=0, metric=COSINE, space=None,
                       keep_int8_only=False, host_copy=True):
        """For a model's templates, or for vectors of dim in a space that the caller names."""
        self._call("facet_gallery_create", name.encode(),
                   _lib.GalleryParams(model=_utf8(model), space=_utf8(space), dim=dim,
                                      metric=metric, keep_int8_only=keep_int8_only,
                                      options=0 if host_copy else 1))

    def gallery_list(self, name=None):
        return self._result(_lib.Galleries, lambda g: [_gallery(x) for x in g.items[:g.count]],
                            "facet_gallery_list", _utf8(name))

    def _delete(self, name, dry_run, *arguments):
        deleted = _lib.Deleted()
        self._call(name, *arguments, _lib.DeleteParams(dry_run=dry_run), deleted)
        return {"templates": deleted.templates, "subjects": deleted.subjects,
                "epoch": deleted.epoch}

    def gallery_delete(self, name, dry_run=False):
        return self._delete("facet_gallery_delete", dry_run, name.encode())

    def subject_delete(self, gallery, subject, dry_run=False):
        return self._delete("facet_subject_delete", dry_run, gallery.encode(), subject.encode())

    def template_delete(self, gallery, ids, dry_run=False):
        ids = np.ascontiguousarray(np.atleast_1d(ids), np.uint64)
        return self._delete("facet_template_delete", dry_run, gallery.encode(), ids.ctypes.data,
                            len(ids))

    def thresholds(self, gallery=None, model=None, thresholds=()):
        """The space with its thresholds, after storing those given: (fmr, score, pairs)."""
        items = (_lib.Threshold * max(len(thresholds), 1))(*[_lib.Threshold(*t)
                                                             for t in thresholds])
        return self._result(_lib.Space, lambda s: _space(ctypes.pointer(s)), "facet_thresholds",
                            _utf8(gallery), _utf8(model), items, len(thresholds))

    # ---- enrolment

    def enrol(self, gallery, x, subjects, *, model=None, tensors=False, ids=None, tags=None,
              sources=(), key=None):
        """One template a row of x; returns their ids. subjects: a name each, or one for all.

        With a model (or tensors=True: the gallery's own), x holds its inputs instead of vectors.
        """
        probe, x = _probe(x, model, tensors)
        subjects = [subjects] if isinstance(subjects, str) else list(subjects)
        sources = [sources] if isinstance(sources, str) else list(sources)
        ids, tags = _u64(ids, len(x)), _u64(tags, len(x))
        if key is not None and len(key) != 16:
            raise ValueError("a key has 16 bytes")
        key_bytes = ctypes.create_string_buffer(key, 16) if key is not None else None
        params = _lib.EnrolParams(ids=_address(ids), tags=_address(tags),
                                  sources=_texts(sources), source_count=len(sources))
        if key_bytes is not None:
            params.key = ctypes.cast(key_bytes, ctypes.c_char_p)
        out = np.empty(len(x), np.uint64)
        self._call("facet_enrol", gallery.encode(), probe, _texts(subjects), len(subjects),
                   params, out.ctypes.data, _lib.Enrolled())
        return out

    # ---- 1:N

    def search(self, gallery, x, k=10, *, by_subject=False, tags=None, threshold=None, fmr=None,
               rerank=0):
        """The k best of each row of x: scores [n][k] and ids [n][k], -1 past the last hit.

        tags is (mask, value): only templates with tags & mask == value.
        """
        x = _vectors(x).astype(np.float32, copy=False)
        scores = np.empty((len(x), k), np.float32)
        ids = np.empty((len(x), k), np.int64)
        self._call("facet_search", gallery.encode(), len(x), x.shape[1], x.ctypes.data, k,
                   _search_params(by_subject, tags, threshold, fmr, rerank), scores.ctypes.data,
                   ids.ctypes.data)
        return scores, ids

    @staticmethod
    def _hits(hits):
        lims = hits.lims[:hits.queries + 1]
        scores = _array(hits.scores, lims[-1], np.float32)
        ids = _array(hits.ids, lims[-1], np.int64)
        names = [_str(s) for s in hits.subjects[:lims[-1]]] if hits.subjects else None
        return Hits(np.split(scores, lims[1:-1]), np.split(ids, lims[1:-1]),
                    names and [names[a:b] for a, b in zip(lims, lims[1:])], hits.decided,
                    hits.threshold)

    def range_search(self, gallery, x, *, threshold=None, fmr=None, limit=1000, tags=None,
                     by_subject=False):
        """Every hit that passes the threshold, at most limit a query."""
        x = _vectors(x).astype(np.float32, copy=False)
        return self._result(_lib.Hits, self._hits, "facet_range_search", gallery.encode(),
                            len(x), x.shape[1], x.ctypes.data, limit,
                            _search_params(by_subject, tags, threshold, fmr, 0))

    def identify(self, gallery, x, k=5, *, model=None, tensors=False, by_subject=True, tags=None,
                 threshold=None, fmr=None, rerank=0):
        """Who is it? As search(), from vectors or a model's inputs, with names."""
        probe, x = _probe(x, model, tensors)
        return self._result(_lib.Hits, self._hits, "facet_identify", gallery.encode(), probe, k,
                            _search_params(by_subject, tags, threshold, fmr, rerank))

    # ---- 1:1

    def verify(self, gallery, subject, x, *, model=None, tensors=False, threshold=None, fmr=None):
        """Is x (one vector, or one input of the model) this subject?"""
        probe, x = _probe(x, model, tensors)
        verdict = _lib.Verdict()
        self._call("facet_verify", gallery.encode(), subject.encode(), probe,
                   _verify_params(threshold, fmr), verdict)
        return Verdict(verdict.score, verdict.id, verdict.decided, verdict.match,
                       verdict.threshold)

    def compare(self, a, b, *, model=None, metric=COSINE):
        """The score of each row of a with the same row of b."""
        probe_a, a = _probe(a, model)
        probe_b, b = _probe(b, model)
        scores = np.empty(len(a), np.float32)
        self._call("facet_compare", probe_a, probe_b, _verify_params(None, None, metric),
                   scores.ctypes.data, None)
        return scores

    # ---- inference and raw kernels

    def infer(self, model, x):
        """The model's outputs for x [n][...], each as [n] of the output's shape."""
        x = np.ascontiguousarray(x)
        described = self.model_list(model)[0]["outputs"]

        def convert(outputs):
            if outputs.count != len(described):
                raise Error("the model was changed in between", 8, True)
            arrays = []
            for output, info in zip(outputs.items[:outputs.count], described):
                flat = _array(output.data, output.bytes // info["dtype"].itemsize, info["dtype"])
                arrays.append(flat.reshape((len(x),) + info["shape"]))
            return arrays

        return self._result(_lib.Outputs, convert, "facet_infer", model.encode(), len(x),
                            x.ctypes.data, x.nbytes)

    @staticmethod
    def _requant(channels, s_pos, s_neg, z, lo, hi, s_r=0.0, z_r=0):
        """The struct, and the arrays that it points into. Without scales the output is int32."""
        if s_pos is None:
            return _lib.Requant(), 2, np.dtype(np.int32), ()
        s_pos = np.ascontiguousarray(np.broadcast_to(s_pos, channels), np.float32)
        s_neg = s_pos if s_neg is None else np.ascontiguousarray(
            np.broadcast_to(s_neg, channels), np.float32)
        q = _lib.Requant(s_pos.ctypes.data, s_neg.ctypes.data, s_r, z_r, z, lo, hi)
        return q, 0, np.dtype(np.int8), (s_pos, s_neg)

    @staticmethod
    def _operand(array, dtype, shape, name):
        if array is None:
            return None
        array = np.ascontiguousarray(array)
        if array.dtype != dtype or array.shape != tuple(shape):
            raise ValueError(f"{name} is {np.dtype(dtype)} of {list(shape)}")
        return array

    def gemm(self, a, b, *, bias=None, s_pos=None, s_neg=None, z=0, lo=-128, hi=127,
             residual=None, s_r=0.0, z_r=0):
        """a [m][k] times b [n][k]: int32 [m][n], or with scales requantised to int8."""
        m, k = np.shape(a)
        n = np.shape(b)[0]
        a = self._operand(a, np.int8, (m, k), "a")
        b = self._operand(b, np.int8, (n, k), "b")
        bias = self._operand(bias, np.int32, (n,), "bias")
        residual = self._operand(residual, np.int8, (m, n), "residual")
        q, out, dtype, _keep = self._requant(n, s_pos, s_neg, z, lo, hi, s_r, z_r)
        y = np.empty((m, n), dtype)
        self._call("facet_gemm_s8",
                   _lib.Gemm(m=m, n=n, k=k, out=out, q=q, a=_address(a), b=_address(b),
                             bias=_address(bias), residual=_address(residual)), y.ctypes.data)
        return y

    def conv2d(self, x, weights, *, bias=None, stride=(1, 1), dilation=(1, 1),
               padding=(0, 0, 0, 0), groups=1, z_x=0, s_pos=None, s_neg=None, z=0, lo=-128,
               hi=127):
        """x [n][h][w][c], weights [oc][kh][kw][c / groups]; padding: top, left, bottom, right."""
        n, h, w, c = np.shape(x)
        oc, kh, kw, per_group = np.shape(weights)
        x = self._operand(x, np.int8, (n, h, w, c), "x")
        weights = self._operand(weights, np.int8, (oc, kh, kw, c // groups), "weights")
        bias = self._operand(bias, np.int32, (oc,), "bias")
        q, out, dtype, _keep = self._requant(oc, s_pos, s_neg, z, lo, hi)
        conv = _lib.Conv2d(n=n, h=h, w=w, c=c, oc=oc, kh=kh, kw=kw, groups=groups,
                           stride_h=stride[0], stride_w=stride[1], dilation_h=dilation[0],
                           dilation_w=dilation[1], pad_top=padding[0], pad_left=padding[1],
                           pad_bottom=padding[2], pad_right=padding[3], z_x=z_x, out=out, q=q,
                           x=_address(x), weights=_address(weights), bias=_address(bias))
        elements = self._api.facet_conv2d_bytes(conv) // dtype.itemsize
        oh = (h + padding[0] + padding[2] - (kh - 1) * dilation[0] - 1) // stride[0] + 1
        if not elements or oh < 1:
            raise ValueError("no window fits into the input")
        y = np.empty((n, oh, elements // (n * oh * oc), oc), dtype)
        self._call("facet_conv2d_s8", conv, y.ctypes.data)
        return y

    # ---- what a gallery holds

    def subjects(self, gallery):
        """All subjects: (name, number of templates), a page at a time."""
        cursor, more = 0, True
        while more:
            def convert(s):
                return ([(_str(i.subject), i.templates) for i in s.items[:s.count]], s.cursor,
                        s.more)

            items, cursor, more = self._result(_lib.Subjects, convert, "facet_subject_list",
                                               gallery.encode(), cursor, 0)
            yield from items

    def subject_show(self, gallery, subject):
        """The templates of one subject."""
        def convert(s):
            return [_template(t) for t in s.items[0].items[:s.items[0].item_count]]

        return self._result(_lib.Subjects, convert, "facet_subject_show", gallery.encode(),
                            subject.encode())

    def export(self, gallery, limit=0):
        """All records, a Page at a time."""
        def convert(p):
            items = p.items[:p.count]
            vectors = _array(p.vectors, p.count * p.dim, _DTYPES[p.type])
            return Page(vectors.reshape(p.count, p.dim), np.array([i.id for i in items], np.uint64),
                        np.array([i.tags for i in items], np.uint64),
                        [_str(s) for s in p.subjects[:p.count]], [_str(i.source) for i in items],
                        p.cursor, p.more)

        cursor, more = 0, True
        while more:
            page = self._result(_lib.Page, convert, "facet_export", gallery.encode(), cursor,
                                limit)
            cursor, more = page.cursor, page.more
            yield page
