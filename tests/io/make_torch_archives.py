#!/usr/bin/env python3
"""Writes the torch.save files that torch_archive_test.cc reads into tests/data (made once, with PyTorch 1.13).

usage: tests/io/make_torch_archives.py tests/data
"""
import argparse
import collections
import os
import sys
import zipfile

import numpy
import torch

TYPES = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8"]


class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def types():
    # Element i of the tensor of the j-th type is i + j; "bool" is true at multiples of 3.
    tensors = collections.OrderedDict(
        (name, (torch.arange(6) + j).to(getattr(torch, name)).reshape(2, 3)) for j, name in enumerate(TYPES))
    tensors["bool"] = torch.arange(6) % 3 == 0
    tensors["scalar"] = torch.tensor(2.5)
    tensors["empty"] = torch.zeros(0, 4)
    return tensors


def views():
    base = torch.arange(24, dtype=torch.float32)
    return {
        "whole": base,
        "rows": base[4:16].view(3, 4),
        "transposed": base[4:16].view(3, 4).t(),
        "every_third": base[5:20:3],
        "cube": base.view(2, 3, 4).permute(2, 0, 1),
        "expanded": torch.full((1, 1), 7.0).expand(2, 3),
    }


def nested():
    weights = {"w": torch.tensor([1.0, 2.0]), "b": torch.tensor([3.0])}
    ema = {"w": torch.tensor([10.0, 20.0]), "b": torch.tensor([30.0])}
    args = argparse.Namespace(lr=1e-4, name="run", betas=(0.9, 0.99), dims=torch.Size([1, 2]), tags={"x"},
                              device=torch.device("cpu"), dtype=torch.float32, seed=2**80, scalar=numpy.float64(0.5))
    return {"step": 77, "args": args, "loss": [0.5, None, True], "state": {"net.raw": weights, "ema": ema},
            "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]}}


def main():
    folder = sys.argv[1]
    weights = collections.OrderedDict(w=torch.tensor([[1.0, 2.0], [3.0, 4.0]]), b=torch.tensor([5.0]))
    states = [weights, {"state": {}}, 3, 1000, {"w": weights["w"] * 10, "b": weights["b"] * 10}]
    deep = []
    for _ in range(200):
        deep = [deep]

    def path(name):
        return os.path.join(folder, "torch_" + name)

    torch.save(types(), path("types.pt"))
    torch.save(views(), path("views.pt"))
    torch.save(nested(), path("nested.pt"))
    torch.save(states, path("list.pt"))
    torch.save({k: torch.nn.Parameter(v) for k, v in weights.items()}, path("parameters.pt"))
    for protocol in [1, 4, 5]:
        torch.save(nested(), path(f"protocol{protocol}.pt"), pickle_protocol=protocol)
    torch.save(views(), path("legacy.pt"), _use_new_zipfile_serialization=False)
    torch.save({"w": torch.zeros(2), "deep": deep}, path("deep.pt"))
    torch.save(torch.nn.Linear(2, 2), path("module.pt"))
    torch.save({"w": torch.zeros(2), "x": Calls(os.system, "touch /tmp/executed")}, path("evil_system.pt"))
    torch.save({"w": torch.zeros(2), "x": Calls(eval, "1")}, path("evil_eval.pt"))
    torch.save({"w": torch.zeros(2), "x": numpy.ones(2)}, path("evil_numpy.pt"))
    torch.save({"w": torch.zeros(2), "z": torch.zeros(2, dtype=torch.complex64)}, path("complex.pt"))

    # The same content packed again, compressed: 4 MiB of zeros shrink to 4 KiB, the honest one hardly shrinks.
    torch.save({"w": torch.zeros(1 << 20)}, path("plain.tmp"))
    for name, source in [("bomb.pt", path("plain.tmp")), ("deflated.pt", path("views.pt"))]:
        with zipfile.ZipFile(source) as plain, zipfile.ZipFile(path(name), "w", zipfile.ZIP_DEFLATED) as packed:
            for entry in plain.infolist():
                packed.writestr(entry.filename, plain.read(entry.filename))
    os.remove(path("plain.tmp"))


if __name__ == "__main__":
    main()
