"""The FID Inception written plainly in PyTorch, with weights given by a formula: what ours is compared with.

    inception_pytorch.py IN.npz OUT.npz     for each uint8 [n, 3, h, w] array of IN, the features of every tap and the
                                            logits: NAME.PROTOCOL.TAP
"""
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

SIDE = 299


class ConvNorm(nn.Module):
    def __init__(self, in_channels, out_channels, kernel, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=1e-3)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


def average_pool(x):
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class BlockA(nn.Module):
    def __init__(self, channels, pool):
        super().__init__()
        self.branch1x1 = ConvNorm(channels, 64, 1)
        self.branch5x5_1 = ConvNorm(channels, 48, 1)
        self.branch5x5_2 = ConvNorm(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = ConvNorm(channels, 64, 1)
        self.branch3x3dbl_2 = ConvNorm(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = ConvNorm(96, 96, 3, padding=1)
        self.branch_pool = ConvNorm(channels, pool, 1)

    def forward(self, x):
        five = self.branch5x5_2(self.branch5x5_1(x))
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, three, self.branch_pool(average_pool(x))], 1)


class BlockB(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.branch3x3 = ConvNorm(channels, 384, 3, stride=2)
        self.branch3x3dbl_1 = ConvNorm(channels, 64, 1)
        self.branch3x3dbl_2 = ConvNorm(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = ConvNorm(96, 96, 3, stride=2)

    def forward(self, x):
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, 2)], 1)


class BlockC(nn.Module):
    def __init__(self, mid):
        super().__init__()
        row, column = dict(kernel=(1, 7), padding=(0, 3)), dict(kernel=(7, 1), padding=(3, 0))
        self.branch1x1 = ConvNorm(768, 192, 1)
        self.branch7x7_1 = ConvNorm(768, mid, 1)
        self.branch7x7_2 = ConvNorm(mid, mid, **row)
        self.branch7x7_3 = ConvNorm(mid, 192, **column)
        self.branch7x7dbl_1 = ConvNorm(768, mid, 1)
        self.branch7x7dbl_2 = ConvNorm(mid, mid, **column)
        self.branch7x7dbl_3 = ConvNorm(mid, mid, **row)
        self.branch7x7dbl_4 = ConvNorm(mid, mid, **column)
        self.branch7x7dbl_5 = ConvNorm(mid, 192, **row)
        self.branch_pool = ConvNorm(768, 192, 1)

    def forward(self, x):
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), single, double, self.branch_pool(average_pool(x))], 1)


class BlockD(nn.Module):
    def __init__(self):
        super().__init__()
        self.branch3x3_1 = ConvNorm(768, 192, 1)
        self.branch3x3_2 = ConvNorm(192, 320, 3, stride=2)
        self.branch7x7x3_1 = ConvNorm(768, 192, 1)
        self.branch7x7x3_2 = ConvNorm(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = ConvNorm(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = ConvNorm(192, 192, 3, stride=2)

    def forward(self, x):
        three = self.branch3x3_2(self.branch3x3_1(x))
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([three, seven, F.max_pool2d(x, 3, 2)], 1)


class BlockE(nn.Module):
    def __init__(self, channels, pool):
        super().__init__()
        row, column = dict(kernel=(1, 3), padding=(0, 1)), dict(kernel=(3, 1), padding=(1, 0))
        self.pool = pool
        self.branch1x1 = ConvNorm(channels, 320, 1)
        self.branch3x3_1 = ConvNorm(channels, 384, 1)
        self.branch3x3_2a = ConvNorm(384, 384, **row)
        self.branch3x3_2b = ConvNorm(384, 384, **column)
        self.branch3x3dbl_1 = ConvNorm(channels, 448, 1)
        self.branch3x3dbl_2 = ConvNorm(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = ConvNorm(384, 384, **row)
        self.branch3x3dbl_3b = ConvNorm(384, 384, **column)
        self.branch_pool = ConvNorm(channels, 192, 1)

    def forward(self, x):
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = self.branch_pool(self.pool(x))
        return torch.cat([self.branch1x1(x), self.branch3x3_2a(single), self.branch3x3_2b(single),
                          self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double), pooled], 1)


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.Conv2d_1a_3x3 = ConvNorm(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = ConvNorm(32, 32, 3)
        self.Conv2d_2b_3x3 = ConvNorm(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = ConvNorm(64, 80, 1)
        self.Conv2d_4a_3x3 = ConvNorm(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = BlockA(192, 32), BlockA(256, 64), BlockA(288, 64)
        self.Mixed_6a = BlockB(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = (BlockC(mid) for mid in (128, 160, 160, 192))
        self.Mixed_7a = BlockD()
        self.Mixed_7b = BlockE(1280, average_pool)
        self.Mixed_7c = BlockE(2048, lambda x: F.max_pool2d(x, 3, 1, 1))
        self.fc = nn.Linear(2048, 1008)

    def forward(self, x):
        """Features by their number."""
        taps = {}
        x = F.max_pool2d(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))), 3, 2)
        taps["64"] = x.mean((2, 3))
        x = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, 2)
        taps["192"] = x.mean((2, 3))
        x = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        taps["768"] = x.mean((2, 3))
        taps["2048"] = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x))).mean((2, 3))
        taps["logits"] = taps["2048"] @ self.fc.weight.t()
        return taps


def formula(name, shape):
    """Element i from splitmix64(fnv1a64(name) + i)."""
    mask, seed = (1 << 64) - 1, 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & mask
    with np.errstate(over="ignore"):
        z = np.arange(int(np.prod(shape)), dtype=np.uint64) + np.uint64((seed + 0x9E3779B97F4A7C15) & mask)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    u = (z >> np.uint64(11)).astype(np.float64) / 2.0**53 * 2 - 1
    if len(shape) >= 2:
        u *= 1.3 * np.sqrt(3 / np.prod(shape[1:]))
    elif name.endswith("running_var"):
        u = 1 + 0.5 * u
    elif name.endswith("bn.weight"):
        u = 1 + 0.2 * u
    else:
        u *= 0.1
    return torch.from_numpy(u.reshape(shape).astype(np.float32))


@torch.no_grad()
def make_network():
    network = Inception().eval()
    for name, tensor in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            tensor.copy_(formula(name, tuple(tensor.shape)))
    return network


def pytorch_fid_input(images):
    return 2 * F.interpolate(images.float() / 255, size=(SIDE, SIDE), mode="bilinear", align_corners=False) - 1


def tf1_input(images):
    def between(x, dim):
        size = x.shape[dim]
        source = torch.arange(SIDE, dtype=torch.float64) * size / SIDE
        low = source.floor().long()
        shape = [1, 1, 1, 1]
        shape[dim] = SIDE
        fraction = (source - low).float().view(shape)
        return x.index_select(dim, low) * (1 - fraction) + x.index_select(dim, (low + 1).clamp(max=size - 1)) * fraction

    return (between(between(images.float(), 2), 3) - 128) / 128


def record(source, destination):
    network, results = make_network(), {}
    for name, images in np.load(source).items():
        for protocol, preprocess in (("tf1", tf1_input), ("pytorch-fid", pytorch_fid_input)):
            for tap, values in network(preprocess(torch.from_numpy(images))).items():
                results[f"{name}.{protocol}.{tap}"] = values.numpy()
    np.savez(destination, **results)


if __name__ == "__main__":
    with torch.inference_mode():
        record(*sys.argv[1:])
