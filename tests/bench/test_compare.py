"""bench/compare.py's arithmetic, and that of files.py, shapes.py, growth.py and job.py: which pairs count, medians, the fastest peer, when a row is void. Needs no peer."""

import contextlib
import importlib.util
import io
import json
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def load(name):
    """A script of bench/; those after it import it."""
    spec = importlib.util.spec_from_file_location(name, os.path.join(ROOT, "bench", f"{name}.py"))
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


compare, files, shapes, growth, job = map(load, ("compare", "files", "shapes", "growth", "job"))

LOSSES = [2.3, 2.2, 2.1, 2.0, 1.9, 1.8, 1.7]


def report(images_per_second, losses=LOSSES):
    return {
        "images_per_second": images_per_second,
        "ms_per_step": 64e3 / images_per_second,
        "peak_memory_mib": 100,
        "losses": losses,
    }


def pair(ours, theirs, other_cpu=0.5, losses=LOSSES):
    return {"ours": report(ours), "theirs": report(theirs, losses), "other_cpu": other_cpu}


def summarise(pairs, network="mnist", mode="train"):
    return compare.summarise(
        pairs, 2.0, lambda a, b: compare.loss_disagreement(network, mode, a["losses"], b["losses"])
    )


def epoch(images_per_second, **other):
    report = {"images": 60000, "labels": 267236, "first_labels": [6, 8, 8, 7], "first_mean": -0.009}
    report |= {"images_per_second": images_per_second, "seconds": 60000 / images_per_second, "peak_memory_mib": 80}
    return report | other


SETTING = {"network": "mnist", "mode": "train", "batch": 64, "threads": 2, "dtype": "float32", "cpu": "a CPU"}


class Peers(unittest.TestCase):
    def test_names(self):
        self.assertEqual(compare.parse_peer("torch"), ("torch", []))
        self.assertEqual(compare.parse_peer("torch-channels-last-tuned"), ("torch", ["channels-last", "tuned"]))
        self.assertEqual(
            compare.parse_peer("torch-tuned-fused-adam-compile"), ("torch", ["tuned", "fused-adam", "compile"])
        )
        self.assertEqual(compare.parse_peer("tensorflow-jit"), ("tensorflow", ["jit"]))

    def test_wrong_names(self):
        for name in ("jax", "", "torch-jit", "torch-channels", "torch-tunedd", "tensorflow-compile"):
            with self.assertRaises(ValueError, msg=name):
                compare.parse_peer(name)


class Epochs(unittest.TestCase):
    def test_agree(self):
        self.assertIsNone(compare.epoch_disagreement("mnist", epoch(1), epoch(2)))
        self.assertIsNone(compare.epoch_disagreement("jpeg", epoch(1), epoch(2, first_mean=-0.03)))

    def test_other_work(self):
        for other in ({"images": 59999}, {"labels": 1}, {"first_labels": [8, 6, 8, 7]}, {"first_mean": -0.03}):
            self.assertIsNotNone(compare.epoch_disagreement("mnist", epoch(1), epoch(2, **other)), msg=str(other))
        self.assertIsNotNone(compare.epoch_disagreement("jpeg", epoch(1), epoch(2, first_mean=float("nan"))))

    def test_row(self):
        pairs = [{"ours": epoch(90000.0), "theirs": epoch(theirs), "other_cpu": 0.5} for theirs in (3000.0, 2000.0, 1000.0)]
        entry = compare.summarise(
            pairs, 2.0, lambda a, b: compare.epoch_disagreement("mnist", a, b), ("seconds", "peak_memory_mib")
        )
        self.assertEqual((entry["ratio"], entry["images_per_second"], entry["seconds"]), (45.0, 2000.0, 30.0))
        setting = {"loader": "mnist", "batch": 64, "workers": 2}
        row = compare.make_row(setting, {"torch": entry}, [pair["ours"] for pair in pairs])
        self.assertEqual((row["ours"], row["ratio_to_fastest"], row["void"]), (90000.0, 45.0, None))
        text = compare.table([row], ("loader", "batch", "workers"))
        self.assertIn("2000 (45.00)", text)

    def test_needs_pictures(self):
        with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
            compare.read_options(["--loader", "jpeg"])
        self.assertEqual(compare.read_options(["--loader", "mnist,jpeg", "--pictures", "x"]).workers, 2)


class Groups(unittest.TestCase):
    def test_all(self):
        train, infer = compare.peers_for(["all"], "train"), compare.peers_for(["all"], "infer")
        self.assertEqual((len(train), len(infer)), (20, 10))
        self.assertIn("torch-channels-last-compile-fused-adam-tuned", train)
        self.assertNotIn("fused-adam", "".join(infer))
        for name in train + infer:
            compare.parse_peer(name)

    def test_names_among_groups(self):
        self.assertEqual(compare.peers_for(["torch", "best"], "train")[0], "torch")
        self.assertEqual(compare.peers_for(["torch-fused-adam", "torch"], "infer"), ["torch"])

    def test_kept(self):
        scouts = {name: {"images_per_second": figure} for name, figure in (("a", 90), ("b", 100), ("c", 80), ("d", 95))}
        self.assertEqual(compare.kept_after_scouting(scouts, 3), ["b", "d", "a"])
        self.assertEqual(compare.kept_after_scouting(scouts, 1), ["b"])
        self.assertEqual(compare.kept_after_scouting(scouts, 9), ["b", "d", "a"])


class Losses(unittest.TestCase):
    def disagreement(self, factors, network="mnist", mode="train"):
        ours = [loss * factor for loss, factor in zip(LOSSES, factors)]
        return compare.loss_disagreement(network, mode, ours, LOSSES)

    def test_training(self):
        self.assertIsNone(self.disagreement([1.0009] * 5 + [1.019] * 2))
        self.assertIn("loss 5", self.disagreement([1] * 4 + [1.0011] + [1] * 2))
        self.assertIn("loss 6", self.disagreement([1] * 5 + [0.979] + [1]))

    def test_batch_norm(self):
        self.assertIsNone(self.disagreement([1.0009, 1.019] + [2] * 5, "resnet18"))
        self.assertIn("loss 1", self.disagreement([1.0011] + [1] * 6, "vgg_bn"))
        self.assertIn("loss 2", self.disagreement([1, 1.021] + [1] * 5, "vgg_bn"))

    def test_inference(self):
        self.assertIsNone(self.disagreement([1.0009] * 7, "vgg_bn", "infer"))
        self.assertIn("loss 7", self.disagreement([1] * 6 + [1.0011], "vgg_bn", "infer"))

    def test_not_finite(self):
        for value in (float("nan"), float("inf"), None):
            ours = LOSSES[:-1] + [value]
            self.assertIn("loss 7", compare.loss_disagreement("mnist", "train", ours, LOSSES))
            self.assertIn("loss 7", compare.loss_disagreement("vgg_bn", "train", LOSSES, ours))

    def test_too_few(self):
        self.assertIsNotNone(compare.loss_disagreement("mnist", "train", [], LOSSES))


class OtherCpu(unittest.TestCase):
    def test_share(self):
        # 2 CPUs for 10 s are 20 CPU seconds: 19 of them busy, 18 of them ours.
        self.assertAlmostEqual(compare.other_cpu_percent(19, 18, 10, 2), 5.0)

    def test_stays_a_share(self):
        self.assertEqual(compare.other_cpu_percent(17.99, 18, 10, 2), 0.0)
        self.assertEqual(compare.other_cpu_percent(0.02, 0, 0.002, 2), 100.0)

    def test_clock_counts_children_as_own(self):
        busy, own, started = compare.cpu_clock()
        compare.subprocess.run([sys.executable, "-c", "for i in range(3000000): pass"], check=True)
        busy_after, own_after, ended = compare.cpu_clock()
        self.assertGreater(own_after - own, 0.01)
        self.assertGreater(ended, started)
        self.assertGreaterEqual(busy_after, busy)


class Entries(unittest.TestCase):
    def test_median_of_ratios(self):
        entry = summarise([pair(200, 100), pair(300, 100), pair(100, 50), pair(1000, 100), pair(90, 60)])
        self.assertEqual(entry["ratio"], 2)
        self.assertEqual(entry["images_per_second"], 100)
        self.assertEqual(entry["ours"], 200)
        self.assertEqual((entry["pairs"], entry["void_pairs"], entry["void"]), (5, 0, None))

    def test_ratio_is_of_neighbours(self):
        # The machine slowed down between the pairs: the ratio of the medians would be 2.5.
        entry = summarise([pair(300, 100), pair(200, 80), pair(30, 10)])
        self.assertEqual(entry["ratio"], 3)

    def test_busy_pairs_do_not_count(self):
        entry = summarise([pair(200, 100), pair(900, 100, other_cpu=2.1), pair(220, 100, other_cpu=2.0)])
        self.assertAlmostEqual(entry["ratio"], 2.1)
        self.assertEqual((entry["pairs"], entry["void_pairs"], entry["other_cpu_percent"]), (2, 1, 2.0))

    def test_no_quiet_pair(self):
        entry = summarise([pair(200, 100, other_cpu=50)])
        self.assertIsNone(entry["ratio"])
        self.assertIn("quiet", entry["void"])
        self.assertEqual(entry["other_cpu_percent"], 50)

    def test_losses_of_any_pair(self):
        entry = summarise([pair(200, 100), pair(200, 100, losses=[1.0] * 7)])
        self.assertIn("loss 1", entry["void"])


class Rows(unittest.TestCase):
    def test_fastest_peer(self):
        pairs = {"torch": [pair(300, 100)], "tensorflow": [pair(200, 90)]}
        row = compare.make_row(SETTING, {n: summarise(p) for n, p in pairs.items()}, [report(300), report(200)])
        self.assertEqual(row["fastest_peer"], "tensorflow")
        self.assertAlmostEqual(row["ratio_to_fastest"], 200 / 90)
        self.assertEqual(row["peers"], {"torch": 100, "tensorflow": 90})
        self.assertEqual(row["ratios"]["torch"], 3)
        self.assertEqual(row["ours"], 250)
        self.assertIsNone(row["void"])
        for key in ("network", "mode", "batch", "threads", "dtype", "cpu"):
            self.assertEqual(row[key], SETTING[key])

    def test_void_if_one_peer_is(self):
        pairs = {"torch": [pair(300, 100)], "tensorflow": [pair(300, 100, losses=[1.0] * 7)]}
        row = compare.make_row(SETTING, {n: summarise(p) for n, p in pairs.items()}, [report(300)])
        self.assertIn("tensorflow", row["void"])
        self.assertIsNone(row["fastest_peer"])
        self.assertIsNone(row["ratio_to_fastest"])
        self.assertIn("void", compare.table([row]))

    def test_without_figures(self):
        row = compare.make_row(SETTING, {"torch": summarise([])}, [])
        self.assertIsNone(row["ours"])
        self.assertIn("void", compare.table([row]))


class WholeRun(unittest.TestCase):
    """compare.py with little scripts in place of the command and of the peers' Python."""

    def run_with(self, ours, theirs, *words):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(os.path.join(folder, "bin"))
            calls = os.path.join(folder, "calls")
            scripts = {
                "facula": f"echo ours >>{calls}\necho '{json.dumps(ours)}'",
                "bin/python": '[ "$1" = -c ] && echo 1.0 && exit 0\n'
                f"echo theirs >>{calls}\necho '{json.dumps(theirs)}'",
            }
            for name, text in scripts.items():
                path = os.path.join(folder, name)
                with open(path, "w") as file:
                    file.write("#!/bin/sh\n" + text + "\n")
                os.chmod(path, 0o755)
            output = io.StringIO()
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
                status = compare.main(
                    ["--facula", os.path.join(folder, "facula"), "--venv", folder, "--network", "mnist", *words]
                )
            with open(calls) as file:
                return status, output.getvalue(), file.read().split()

    def test_in_turn(self):
        status, output, calls = self.run_with(
            report(300), report(100), "--peers", "torch", "--pairs", "3", "--max-other-cpu", "100", "--json"
        )
        self.assertEqual(status, 0)
        self.assertEqual(calls, ["ours", "theirs"] * 3)
        (row,) = json.loads(output)
        self.assertEqual((row["network"], row["mode"], row["batch"], row["dtype"]), ("mnist", "train", 64, "float32"))
        self.assertEqual((row["ours"], row["peers"], row["fastest_peer"]), (300, {"torch": 100}, "torch"))
        self.assertEqual(row["ratio_to_fastest"], 3)

    def test_void_fails(self):
        status, output, _ = self.run_with(
            report(300), report(100, [1.0] * 7), "--peers", "torch", "--pairs", "1", "--max-other-cpu", "100"
        )
        self.assertEqual(status, 1)
        self.assertIn("void: mnist, train: torch: loss 1", output)

    def test_scouts(self):
        words = ["--peers", "torch,torch-tuned,torch-compile", "--pairs", "2", "--scout", "1", "--keep", "1"]
        status, output, calls = self.run_with(report(300), report(100), *words, "--max-other-cpu", "100")
        self.assertEqual((status, calls), (0, ["theirs"] * 3 + ["ours", "theirs"] * 2))
        self.assertIn("scouts: mnist, train", output)
        self.assertIn("3.00", output)

    def test_scouts_on_a_busy_machine(self):
        words = ["--peers", "torch", "--scout", "1", "--pairs", "1", "--retries", "1", "--max-other-cpu", "-1"]
        status, output, calls = self.run_with(report(300), report(100), *words)
        self.assertEqual(status, 1)
        self.assertEqual(calls, ["theirs"] * 2)
        self.assertIn("no scout while the machine was quiet", output)

    def test_tries_are_bounded(self):
        _, _, calls = self.run_with(
            report(300), report(100), "--peers", "torch", "--pairs", "1", "--retries", "2", "--max-other-cpu", "-1"
        )
        self.assertEqual(calls, ["ours", "theirs"] * 3)


class Files(unittest.TestCase):
    @staticmethod
    def pairs(*seconds, other_cpu=0.5):
        return [{"ours": ours, "theirs": theirs, "other_cpu": other_cpu} for ours, theirs in seconds]

    def test_median_of_the_ratios_of_pairs(self):
        row = files.summarise("load", self.pairs((1.0, 3.0), (4.0, 4.0), (1.0, 2.0)), 2.0)
        self.assertEqual((row["ratio"], row["pairs"], row["void_pairs"], row["fine"]), (2.0, 3, 0, True))
        self.assertEqual((row["ours_ms"], row["theirs_ms"]), (1000.0, 3000.0))

    def test_pairs_beside_others_work_are_void(self):
        row = files.summarise("map", self.pairs((1.0, 9.0), other_cpu=5.0) + self.pairs((2.0, 1.0)), 2.0)
        self.assertEqual((row["ratio"], row["pairs"], row["void_pairs"], row["fine"]), (0.5, 1, 1, False))
        row = files.summarise("map", self.pairs((1.0, 9.0), other_cpu=5.0), 2.0)
        self.assertEqual((row["ratio"], row["fine"]), (None, False))

    def test_saving_needs_four_fifths(self):
        self.assertTrue(files.summarise("save", self.pairs((1.0, 0.8)), 2.0)["fine"])
        self.assertFalse(files.summarise("save", self.pairs((1.0, 0.79)), 2.0)["fine"])


def turn(ours, theirs, other_cpu=0.5):
    """A turn of shapes.py: seconds of ours; of theirs by layout; all parts alike."""
    report = {"seconds": ours, "kernel": "k", "flops": 8, "bytes": 4}
    return {
        "ours": {part: report for part in shapes.PARTS},
        "theirs": {layout: {part: seconds for part in shapes.PARTS} for layout, seconds in theirs.items()},
        "other_cpu": other_cpu,
    }


class Shapes(unittest.TestCase):
    def test_as_many_layers_as_promised(self):
        for group, count in (("conv", 40), ("linear", 20)):
            lines = [line for _, line in shapes.spelled(group)]
            self.assertEqual((len(lines), len(set(lines))), (count, count))

    def test_the_faster_layout_counts(self):
        turns = [turn(1.0, {"contiguous": 3.0, "channels_last": 2.0}), turn(2.0, {"contiguous": 9.0, "channels_last": 3.0})]
        part = shapes.summarise("input", turns, 2.0)
        self.assertEqual((part["layout"], part["ratio"], part["ours_ms"], part["theirs_ms"]), ("channels_last", 1.75, 1000, 2000))
        self.assertFalse(shapes.loses([part]))
        self.assertTrue(shapes.loses([shapes.summarise("input", [turn(1.0, {"contiguous": 0.8})], 2.0)]))

    def test_a_turn_beside_others_does_not_count(self):
        part = shapes.summarise("forward", [turn(1.0, {"contiguous": 9.0}, 50.0), turn(1.0, {"contiguous": 2.0})], 2.0)
        self.assertEqual((part["ratio"], part["turns"]), (2.0, 1))
        self.assertIsNone(shapes.summarise("forward", [turn(1.0, {"contiguous": 9.0}, 50.0)], 2.0)["ratio"])

    def test_more_turns_for_those_that_lose(self):
        asked = []

        class Fake(shapes.Bench):
            def turn(self, line):
                asked.append(line)
                return turn(1.0, {"contiguous": 0.5 if "slow" in line else 2.0}, 50.0 if len(asked) == 1 else 0.0)

        options = type("Options", (), {"turns": 3, "more": 5, "max_other_cpu": 2.0, "errors": False})
        with contextlib.redirect_stderr(io.StringIO()):
            for line, count in (("linear 1 2 3", 4), ("linear 1 2 3 slow", 8)):
                asked_before = len(asked)
                original, shapes.shown = shapes.shown, str
                try:
                    row = Fake(options, None, None).layer("here", line, "")
                finally:
                    shapes.shown = original
                self.assertEqual(len(asked) - asked_before, count)
        self.assertEqual([part["turns"] for part in row["parts"]], [8, 8, 8])

    def test_geometric_mean(self):
        self.assertAlmostEqual(shapes.geometric_mean([0.5, 8.0]), 2.0)


class Growth(unittest.TestCase):
    def test_multiply_adds(self):
        count = growth.multiply_adds
        self.assertEqual(count("conv2d direct nhwc", "forward", 2, 8, 4), 9 * 2 * 64 * 16)
        self.assertEqual(count("conv2d winograd nhwc", "forward", 1, 8, 64), 36 * 4 * 64**2)
        self.assertEqual(count("conv2d winograd nhwc", "forward", 1, 9, 32), 16 * 25 * 32**2)
        self.assertEqual(count("conv2d_input_grad winograd nhwc", "input", 1, 9, 32), 36 * 9 * 32**2)

    def test_share_is_of_the_larger_limit(self):
        call = {"seconds": 2.0, "kernel": "direct", "bytes": 100.0}
        report = {part: call for part in shapes.PARTS}
        work = 2 * growth.multiply_adds("direct", "forward", 1, 4, 8)
        by_memory = growth.shares(report, {"flops": work, "bytes": 50.0}, 1, 4, 8)["forward"]
        self.assertEqual((by_memory["share"], by_memory["bound"]), (1.0, "memory"))
        by_compute = growth.shares(report, {"flops": work, "bytes": 1000.0}, 1, 4, 8)["forward"]
        self.assertEqual((by_compute["share"], by_compute["bound"]), (0.5, "multiply-adds"))


class Job(unittest.TestCase):
    def report(self, seconds, memory, accuracy=0.98, other_cpu=0.0):
        losses = {"train_loss": 0.14, "test_loss": 0.05, "accuracy": accuracy}
        return {"seconds": seconds, "memory_mib": memory, "other_cpu": other_cpu, **losses}

    def test_row(self):
        pairs = [{"ours": self.report(2, 50), "theirs": self.report(seconds, 700)} for seconds in (20, 30, 22)]
        row = job.summarise(pairs, 2.0)
        self.assertEqual((row["ratio"], row["memory_ratio"], row["void"]), (11, 14, None))

    def test_void(self):
        other = {"ours": self.report(2, 50, accuracy=0.9), "theirs": self.report(20, 700)}
        self.assertIn("accuracy", job.summarise([other], 2.0)["void"])
        busy = {"ours": self.report(2, 50), "theirs": self.report(20, 700, other_cpu=9.0)}
        self.assertIn("quiet", job.summarise([busy], 2.0)["void"])


if __name__ == "__main__":
    unittest.main()
