"""Exports a small text- and class-conditional network, its checkpoints and a scorer, as a user of PyTorch would.

usage: export_script_network.py FOLDER
writes net.ts.pt, net.json, step-10..50.safetensors, conditioning.safetensors, scorer.ts.pt, and io.safetensors with
inputs and what the network with the weights of step 50 makes of them
"""
import json
import sys
from pathlib import Path
from typing import Optional

import numpy
import torch
from torch import Tensor


class Block(torch.nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.conv = torch.nn.Conv2d(channels, channels, 3, padding=1)
        self.register_buffer("gain", torch.tensor(1.5))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gain * torch.nn.functional.silu(self.conv(x))


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(1, 8, 3, padding=1)
        self.block = Block(8)
        self.embed = torch.nn.Linear(4 + 5 + 1, 8)
        self.last = torch.nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor, text: Tensor, style: Optional[Tensor] = None):
        given = torch.cat([labels, text, sigma.log().unsqueeze(1) / 4], 1)
        shift = self.embed(given)
        if style is not None:
            shift = shift + style
        scale = 1 / (sigma**2 + 0.25).sqrt()
        x = self.first(x * scale.view(-1, 1, 1, 1)) + shift.view(-1, 8, 1, 1)
        return torch.tanh(self.last(self.block(x)))


class Scorer(torch.nn.Module):
    def forward(self, images: Tensor, text: Tensor):
        return images.to(torch.float32).mean([1, 2, 3]) / 255 + text.sum(1)


def write_safetensors(path, tensors, metadata=None):
    types = {torch.float32: "F32", torch.int64: "I64"}
    header, data = {"__metadata__": metadata or {}}, b""
    for name, tensor in sorted(tensors.items()):
        content = tensor.detach().contiguous().numpy().tobytes()
        header[name] = {
            "dtype": types[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [len(data), len(data) + len(content)],
        }
        data += content
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(numpy.uint64(len(text)).tobytes() + text + data)


def main(folder):
    torch.manual_seed(3)
    network = Network().eval()
    torch.jit.script(network).save(str(folder / "net.ts.pt"))
    config = {
        "model_type": "TorchScript",
        "module": str(folder / "net.ts.pt"),
        "img_channels": 1,
        "img_resolution": 8,
        "label_dim": 4,
    }
    (folder / "net.json").write_text(json.dumps(config))
    for step in range(10, 60, 10):
        weights = {name: tensor + 0.1 * torch.randn_like(tensor) for name, tensor in network.state_dict().items()}
        write_safetensors(folder / f"step-{step}.safetensors", weights)
    network.load_state_dict(weights)
    given = {"x": torch.randn(3, 1, 8, 8), "sigma": torch.tensor([0.1, 2.0, 80.0]), "text": torch.randn(3, 5)}
    given["class_labels"] = torch.eye(4)[[2, 0, 3]]
    denoised = network(given["x"], given["sigma"], given["class_labels"], given["text"])
    write_safetensors(folder / "io.safetensors", {**given, "expected": denoised})
    labels = torch.tensor([3, 1, 2, 0, 3, 3, 1])
    write_safetensors(folder / "conditioning.safetensors", {"text": torch.randn(7, 5), "labels": labels})
    torch.jit.script(Scorer()).save(str(folder / "scorer.ts.pt"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
