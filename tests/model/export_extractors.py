"""Writes TorchScript extractors into the folder that is given: what users export."""
import sys

import torch


class Plain(torch.nn.Module):
    def forward(self, images):
        x = images.float()
        return torch.stack([x.mean((1, 2, 3)), x[:, 0].mean((1, 2)), x[:, 2, 0, 0], x.amax((1, 2, 3))], 1)


class WithFlag(torch.nn.Module):
    """Features only when asked for, as NVIDIA's detectors."""

    def forward(self, images, use_fp16: bool = False, return_features: bool = False):
        x = images.double().mean((2, 3))
        if return_features:
            return x
        return torch.softmax(x, 1)


class Classifier(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.arange(6.0).reshape(3, 2))

    def forward(self, images):
        x = images.float().mean((2, 3))
        return x, x @ self.weight


class OneSize(torch.nn.Module):
    feature_dim: int

    def __init__(self):
        super().__init__()
        self.feature_dim = 5

    def forward(self, images):
        if images.shape[2] != 20 or images.shape[3] != 12:
            raise RuntimeError("only 20 x 12")
        return images.float().flatten(1)[:, :5]


class WrongType(torch.nn.Module):
    def forward(self, images):
        return images.flatten(1)


class WrongLength(torch.nn.Module):
    def forward(self, images):
        return images.float().mean((0, 2, 3))[None]


class NoImages(torch.nn.Module):
    def forward(self):
        return torch.zeros(1, 1)


folder = sys.argv[1]
for module in (Plain(), WithFlag(), Classifier(), OneSize(), WrongType(), WrongLength(), NoImages()):
    torch.jit.script(module).save(f"{folder}/{type(module).__name__}.pt")
torch.save({"weight": torch.zeros(2)}, f"{folder}/state_dict.pt")
