#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the float executor with ONNX Runtime over seeded inputs (development only).

    compare_onnxruntime.py NETWORK.onnx... [--build DIR] [--runs N]

Needs numpy and onnxruntime. The largest difference, relative to the output's largest value, must
stay below 1e-4, before folding and after it.
"""
import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
import time


def load(build):
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    archives = [os.path.join(build, "lib%s-room.a" % r) for r in ("compile", "kernels", "proto")]
    subprocess.check_call(["make", "-s", "-C", root, "BUILD=" + build] + archives)
    out = os.path.join(tempfile.mkdtemp(), "bridge.so")
    subprocess.check_call(
        ["gcc", "-O2", "-shared", "-fPIC", "-D_GNU_SOURCE", "-I" + root, "-I" + build + "/gen",
         os.path.join(root, "tests/compile/bridge.c"), "-o", out] + archives
        + ["-lprotobuf-c", "-lsodium", "-lm"])
    lib = ctypes.CDLL(out)
    lib.bridge_open.restype = ctypes.c_void_p
    lib.bridge_open.argtypes = [ctypes.c_char_p, ctypes.c_bool]
    lib.bridge_error.restype = ctypes.c_char_p
    lib.bridge_error.argtypes = [ctypes.c_void_p]
    lib.bridge_run.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    lib.bridge_output.restype = ctypes.POINTER(ctypes.c_float)
    lib.bridge_output.argtypes = [ctypes.c_void_p, ctypes.c_uint, ctypes.POINTER(ctypes.c_size_t)]
    lib.bridge_close.argtypes = [ctypes.c_void_p]
    return lib


def compare(lib, path, runs, fold):
    import numpy as np
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    shape = [d if isinstance(d, int) else 1 for d in session.get_inputs()[0].shape]
    net = lib.bridge_open(path.encode(), fold)
    error = lib.bridge_error(net).decode()
    if error:
        print("%s: %s" % (os.path.basename(path), error))
        return False
    rng = np.random.default_rng(7)
    worst = seconds = 0.0
    for _ in range(runs):
        x = rng.uniform(-1, 1, shape).astype(np.float32)
        start = time.time()
        lib.bridge_run(net, x.ctypes.data)
        seconds += time.time() - start
        for i, want in enumerate(session.run(None, {session.get_inputs()[0].name: x})):
            count = ctypes.c_size_t()
            got = np.ctypeslib.as_array(lib.bridge_output(net, i, ctypes.byref(count)),
                                        (want.size,))
            assert count.value == want.size
            worst = max(worst, float(np.abs(got - want.ravel()).max() / max(np.abs(want).max(), 1e-6)))
    lib.bridge_close(net)
    print("%s%s: largest relative difference %.2e, %.1f ms a run"
          % (os.path.basename(path), " folded" if fold else "", worst, seconds / runs * 1e3))
    return worst < 1e-4


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("network", nargs="+")
    parser.add_argument("--build", default="build")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    lib = load(os.path.abspath(args.build))
    ok = [compare(lib, path, args.runs, fold) for path in args.network for fold in (False, True)]
    sys.exit(0 if all(ok) else 1)


if __name__ == "__main__":
    main()
