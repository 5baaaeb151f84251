#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Exact search by FAISS and usearch on the bench's kind of data, one thread, CPU time.

Optional: prints NOT COMPARED for a peer that is not installed or too old (pip install faiss-cpu usearch
in any environment; name its python in FACET_PEERS_PYTHON).
"""
import os
import sys
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

try:
    import numpy as np
except ImportError:
    print("peers: NOT COMPARED (no numpy)")
    sys.exit(0)

ROWS, DIM, K = int(sys.argv[1]), int(sys.argv[2]), 10
BATCHES = (1, 16, 64)


def clustered(rows, seed):
    """Unit vectors, 20 around each of rows / 20 centres, as the bench of our kernels has them."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(rows // 20, 1), DIM), dtype=np.float32)
    x = np.repeat(centres, 20, axis=0)[:rows]
    x += 0.7 * rng.standard_normal(x.shape, dtype=np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x


def rate(search, queries, batch):
    """Queries per CPU second, the median of five."""
    times = []
    search(queries[:batch])
    for i in range(5):
        start = time.process_time()
        search(queries[i * batch:(i + 1) * batch])
        times.append(time.process_time() - start)
    return batch / sorted(times)[2]


def show(engine, version, search, queries):
    for batch in BATCHES:
        print(f"{engine:34s} {version:8s} batch {batch:3d} {rate(search, queries, batch):10.1f} queries per CPU s")


def at_least(version, wanted):
    return tuple(int(p) for p in version.split(".")[:2]) >= wanted


def main():
    x = clustered(ROWS, 1)
    queries = clustered(max(BATCHES) * 5, 2)
    int8 = np.clip(np.rint(x * (127 / np.abs(x).max(axis=1, keepdims=True))), -127, 127).astype(np.int8)
    try:
        import faiss
        if not at_least(faiss.__version__, (1, 13)):
            raise ImportError(f"version {faiss.__version__} is below 1.13")
        faiss.omp_set_num_threads(1)
        index = faiss.IndexScalarQuantizer(DIM, faiss.ScalarQuantizer.QT_8bit_direct_signed,
                                           faiss.METRIC_INNER_PRODUCT)
        index.add(int8.astype(np.float32))
        q = (queries * 127 / np.abs(queries).max(axis=1, keepdims=True)).round()
        show("FAISS SQ 8bit_direct_signed", faiss.__version__, lambda v: index.search(v, K), q)
        del index
        flat = faiss.IndexFlatIP(DIM)
        flat.add(x)
        faiss.cvar.distance_compute_blas_threshold = 4
        show("FAISS Flat fp32", faiss.__version__, lambda v: flat.search(v, K), queries)
        del flat
    except ImportError as why:
        print(f"FAISS: NOT COMPARED ({why})")
    try:
        from usearch.index import search, MetricKind
        import usearch
        if not at_least(usearch.__version__, (2, 25)):
            raise ImportError(f"version {usearch.__version__} is below 2.25")
        q8 = np.clip(np.rint(queries * (127 / np.abs(queries).max(axis=1, keepdims=True))), -127, 127).astype(np.int8)
        show("usearch exact i8", usearch.__version__,
             lambda v: search(int8, v, K, MetricKind.IP, exact=True, threads=1), q8)
    except ImportError as why:
        print(f"usearch: NOT COMPARED ({why})")


main()
