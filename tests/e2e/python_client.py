# SPDX-License-Identifier: Apache-2.0
"""The Python package against a running facetd: `write` makes galleries, `read` finds them again."""

import sys
import time
import unittest

import facet
import numpy as np

DIM = 64
COUNT = 500


def templates():
    rng = np.random.default_rng(7)
    x = rng.standard_normal((COUNT, DIM)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def ready(client, name):
    """Galleries load in the background after a start."""
    for _ in range(200):
        if client.gallery_list(name)[0]["state"] == "ready":
            return
        time.sleep(0.05)
    raise AssertionError("the gallery does not get ready")


class Write(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.c = facet.Client(timeout=20)
        cls.x = templates()
        cls.c.gallery_create("people", dim=DIM, space="test")
        cls.ids = cls.c.enrol("people", cls.x, [f"p{i // 2}" for i in range(COUNT)],
                              tags=np.arange(COUNT) % 4, sources="made up")

    @classmethod
    def tearDownClass(cls):
        cls.c.close()

    def test_ping_and_info(self):
        self.assertEqual(self.c.ping(b"\0hello"), b"\0hello")
        info = self.c.info()
        self.assertTrue(info["ready"])
        self.assertGreaterEqual(len(info["devices"]), 1)
        self.assertIn("people", [g["name"] for g in info["galleries"]])

    def test_search(self):
        scores, ids = self.c.search("people", self.x[:50], k=3)
        self.assertEqual(ids.shape, (50, 3))
        np.testing.assert_array_equal(ids[:, 0], self.ids[:50].astype(np.int64))
        np.testing.assert_allclose(scores[:, 0], 1, atol=0.01)
        self.assertTrue((scores[:, :-1] >= scores[:, 1:]).all())
        exact = np.sort(self.x[:50] @ self.x.T, axis=1)[:, ::-1][:, :3]
        np.testing.assert_allclose(scores, exact, atol=0.02)

    def test_search_larger_than_a_frame(self):
        x = np.repeat(self.x, 4, axis=0)[:1000]
        _, ids = self.c.search("people", x, k=20)
        np.testing.assert_array_equal(ids[::4, 0], self.ids[:250].astype(np.int64))

    def test_padding_and_tags(self):
        scores, ids = self.c.search("people", self.x[:2], k=400, tags=(3, 1))
        self.assertEqual((ids[0] >= 0).sum(), COUNT // 4)
        self.assertTrue((ids[:, COUNT // 4:] == -1).all())
        self.assertTrue((scores[:, COUNT // 4:] == 0).all())

    def test_identify(self):
        hits = self.c.identify("people", self.x[10:12], k=2)
        self.assertEqual([s[0] for s in hits.subjects], ["p5", "p5"])
        self.assertFalse(hits.decided)
        hits = self.c.identify("people", self.x[10:12], k=2, threshold=0.9)
        self.assertTrue(hits.decided)
        self.assertEqual([len(s) for s in hits.ids], [1, 1])

    def test_range_search(self):
        hits = self.c.range_search("people", self.x[:3], threshold=0.95)
        self.assertEqual([list(i) for i in hits.ids], [[int(i)] for i in self.ids[:3]])

    def test_verify_and_compare(self):
        self.assertTrue(self.c.verify("people", "p3", self.x[6], threshold=0.9).match)
        self.assertFalse(self.c.verify("people", "p3", self.x[9], threshold=0.9).match)
        self.assertFalse(self.c.verify("people", "p3", self.x[6]).decided)
        scores = self.c.compare(self.x[:4], self.x[4:8])
        np.testing.assert_allclose(scores, (self.x[:4] * self.x[4:8]).sum(1), atol=0.02)

    def test_replay(self):
        self.c.gallery_create("replay", dim=4)
        x = np.eye(4, dtype=np.float32)
        first = self.c.enrol("replay", x, "one", key=b"k" * 16)
        np.testing.assert_array_equal(self.c.enrol("replay", x, "one", key=b"k" * 16), first)
        self.assertEqual(self.c.gallery_list("replay")[0]["templates"], 4)
        self.assertEqual(self.c.template_delete("replay", first[0])["templates"], 1)
        self.assertEqual(self.c.gallery_delete("replay", dry_run=True)["templates"], 3)
        self.c.gallery_delete("replay")
        self.assertRaises(facet.NotFound, self.c.search, "replay", x, 1)

    def test_thresholds(self):
        space = self.c.thresholds("people", thresholds=[(1e-4, 0.75, 1000), (1e-3, 0.5, 1000)])
        self.assertEqual(len(space["thresholds"]), 2)
        hits = self.c.identify("people", self.x[:1], fmr=1e-4)
        self.assertTrue(hits.decided)
        self.assertAlmostEqual(hits.threshold, 0.75, places=5)

    def test_gemm(self):
        rng = np.random.default_rng(3)
        a = rng.integers(-128, 128, (33, 70), dtype=np.int8)
        b = rng.integers(-128, 128, (17, 70), dtype=np.int8)
        bias = rng.integers(-1000, 1000, 17, dtype=np.int32)
        exact = a.astype(np.int64) @ b.T.astype(np.int64) + bias
        np.testing.assert_array_equal(self.c.gemm(a, b, bias=bias), exact)
        scale = np.float32(2.0 ** -10)
        want = np.clip(np.rint(exact.astype(np.float32) * scale), -128, 127)
        np.testing.assert_array_equal(self.c.gemm(a, b, bias=bias, s_pos=scale), want)

    def test_gemm_by_memfd(self):
        rng = np.random.default_rng(4)
        a = rng.integers(-128, 128, (700, 300), dtype=np.int8)
        b = rng.integers(-128, 128, (200, 300), dtype=np.int8)
        np.testing.assert_array_equal(self.c.gemm(a, b),
                                      a.astype(np.int64) @ b.T.astype(np.int64))

    def test_conv2d(self):
        rng = np.random.default_rng(5)
        x = rng.integers(-128, 128, (2, 7, 6, 3), dtype=np.int8)
        w = rng.integers(-128, 128, (4, 3, 3, 3), dtype=np.int8)
        y = self.c.conv2d(x, w, stride=(2, 1), padding=(1, 1, 1, 1), z_x=-7)
        padded = np.full((2, 9, 8, 3), -7, np.int64)
        padded[:, 1:8, 1:7] = x
        self.assertEqual(y.shape, (2, 4, 6, 4))
        for i in range(4):
            for j in range(6):
                window = padded[:, 2 * i:2 * i + 3, j:j + 3]
                want = np.einsum("nhwc,ohwc->no", window, w.astype(np.int64))
                np.testing.assert_array_equal(y[:, i, j], want)

    def test_errors(self):
        with self.assertRaises(facet.NotFound) as caught:
            self.c.search("nobody", self.x, 1)
        self.assertFalse(caught.exception.retryable)
        self.assertRaises(facet.InvalidArgument, self.c.search, "people", self.x, 0)
        self.assertRaises(facet.AlreadyExists, self.c.gallery_create, "people", dim=DIM,
                          space="test")
        self.assertRaises(facet.Error, self.c.search, "people", self.x[:, :8], 1)
        self.assertRaises(facet.InvalidArgument, self.c.search, "people",
                          np.full((1, DIM), np.nan), 1)
        self.assertRaises(facet.Unavailable, facet.Client, "/nonexistent/socket")
        self.assertRaises(facet.NotFound, self.c.infer, "nothing", self.x)
        # and the connection is as good as before
        self.assertEqual(self.c.ping(b"x"), b"x")

    def test_closed(self):
        with facet.Client() as other:
            self.assertEqual(other.ping(), b"")
        self.assertRaises(ValueError, other.ping)


class Read(unittest.TestCase):
    """After a restart of the daemon."""

    @classmethod
    def setUpClass(cls):
        cls.c = facet.Client(timeout=20)
        ready(cls.c, "people")

    def test_still_there(self):
        info = self.c.gallery_list("people")[0]
        self.assertEqual((info["templates"], info["subjects"]), (COUNT, COUNT // 2))
        self.assertEqual(info["space"]["name"], "test")
        _, ids = self.c.search("people", templates(), k=1)
        self.assertEqual(len(np.unique(ids)), COUNT)

    def test_export(self):
        pages = list(self.c.export("people", limit=120))
        self.assertGreaterEqual(len(pages), 5)
        vectors = np.concatenate([p.vectors for p in pages])
        np.testing.assert_allclose(vectors, templates(), atol=1e-3)
        self.assertEqual(pages[0].subjects[:3], ["p0", "p0", "p1"])
        self.assertEqual(pages[0].sources[0], "made up")
        np.testing.assert_array_equal(pages[0].tags[:5], [0, 1, 2, 3, 0])

    def test_subjects(self):
        subjects = list(self.c.subjects("people"))
        self.assertEqual(len(subjects), COUNT // 2)
        self.assertEqual({n for _, n in subjects}, {2})
        self.assertEqual(len(self.c.subject_show("people", "p7")), 2)
        self.assertEqual(self.c.subject_delete("people", "p249")["templates"], 2)
        self.assertRaises(facet.NotFound, self.c.subject_show, "people", "p249")


if __name__ == "__main__":
    case = {"write": Write, "read": Read}[sys.argv.pop(1)]
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(case)
    sys.exit(not unittest.TextTestRunner().run(suite).wasSuccessful())
