"""NCSN++ and DDPM++ (Song et al. 2021) in EDM's form (Karras et al. 2022, App. F.1), written plainly in PyTorch: what the
C++ network is compared with. Weights by their public names; float32; EDM's preconditioning around it."""
import json
import math

import numpy as np
import torch
import torch.nn.functional as F

SQRT_HALF = math.sqrt(0.5)


def read_safetensors(path):
    raw = open(path, "rb").read()
    end = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:end])
    metadata = header.pop("__metadata__", {})
    types = {"F32": np.float32, "F64": np.float64}
    tensors = {}
    for name, entry in header.items():
        begin, stop = entry["data_offsets"]
        array = np.frombuffer(raw[end + begin:end + stop], types[entry["dtype"]]).reshape(entry["shape"])
        tensors[name] = torch.from_numpy(array.copy())
    return tensors, metadata


class Conv(torch.nn.Module):
    """3x3 or 1x1 convolution; `up` or `down` change the resolution with a fixed filter, fused with it where `fused`."""

    def __init__(self, weights, name, up=False, down=False, fused=False):
        super().__init__()
        self.weight = torch.nn.Parameter(weights[name + ".weight"])
        self.bias = torch.nn.Parameter(weights[name + ".bias"])
        if up or down:
            self.register_buffer("taps", weights[name + ".resample_filter"])
        self.up, self.down, self.fused = up, down, fused

    def forward(self, x):
        w_pad = self.weight.shape[-1] // 2
        f_pad = (self.taps.shape[-1] - 1) // 2 if self.up or self.down else 0
        channels = x.shape[1]
        if self.fused and self.down:
            x = F.conv2d(x, self.weight, padding=w_pad + f_pad)
            x = F.conv2d(x, self.taps.tile([x.shape[1], 1, 1, 1]), groups=x.shape[1], stride=2)
            return x + self.bias.reshape(1, -1, 1, 1)
        if self.up:
            x = F.conv_transpose2d(x, (self.taps * 4).tile([channels, 1, 1, 1]), groups=channels, stride=2, padding=f_pad)
        if self.down:
            x = F.conv2d(x, self.taps.tile([channels, 1, 1, 1]), groups=channels, stride=2, padding=f_pad)
        return F.conv2d(x, self.weight, padding=w_pad) + self.bias.reshape(1, -1, 1, 1)


class Norm(torch.nn.Module):
    def __init__(self, weights, name):
        super().__init__()
        self.weight = torch.nn.Parameter(weights[name + ".weight"])
        self.bias = torch.nn.Parameter(weights[name + ".bias"])

    def forward(self, x):
        return F.group_norm(x, min(32, x.shape[1] // 4), self.weight, self.bias, 1e-6)


class Linear(torch.nn.Module):
    def __init__(self, weights, name):
        super().__init__()
        self.weight = torch.nn.Parameter(weights[name + ".weight"])
        self.bias = torch.nn.Parameter(weights[name + ".bias"])

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)


class Block(torch.nn.Module):
    """Residual block, with self-attention over the pixels where the weights have it."""

    def __init__(self, weights, name, up=False, down=False):
        super().__init__()
        self.norm0, self.norm1 = Norm(weights, name + ".norm0"), Norm(weights, name + ".norm1")
        self.conv0 = Conv(weights, name + ".conv0", up, down)
        self.conv1 = Conv(weights, name + ".conv1")
        self.affine = Linear(weights, name + ".affine")
        self.skip = Conv(weights, name + ".skip", up, down) if name + ".skip.weight" in weights else None
        self.norm2 = Norm(weights, name + ".norm2") if name + ".norm2.weight" in weights else None
        if self.norm2 is not None:
            self.qkv, self.proj = Conv(weights, name + ".qkv"), Conv(weights, name + ".proj")

    def forward(self, x, emb):
        h = self.conv0(F.silu(self.norm0(x)))
        h = F.silu(self.norm1(h + self.affine(emb)[:, :, None, None]))
        h = self.conv1(h)
        x = (h + (x if self.skip is None else self.skip(x))) * SQRT_HALF
        if self.norm2 is None:
            return x
        n, c, height, width = x.shape
        q, k, v = self.qkv(self.norm2(x)).reshape(n, c, 3, height * width).unbind(2)
        attention = torch.einsum("ncq,nck->nqk", q, k / math.sqrt(c)).softmax(2)
        mixed = torch.einsum("nqk,nck->ncq", attention, v)
        return (self.proj(mixed.reshape(x.shape)) + x) * SQRT_HALF


class NCSNpp(torch.nn.Module):
    """encoder_type residual with embedding_type fourier (NCSN++), or standard with positional (DDPM++); decoder_type
    standard."""

    def __init__(self, weights, config):
        super().__init__()
        weights = {name.removeprefix("model."): tensor for name, tensor in weights.items()}
        resolutions = [config["img_resolution"] >> i for i in range(len(config["channel_mult"]))]
        blocks = config["num_blocks"]
        if config.get("embedding_type", "positional") == "fourier":
            frequencies = 2 * math.pi * weights["map_noise.freqs"]
        else:
            half = config["model_channels"] * config.get("channel_mult_noise", 1) // 2
            frequencies = (1 / 10000) ** (torch.arange(half, dtype=torch.float32) / (half - 1))
        self.register_buffer("frequencies", frequencies)
        self.layer0, self.layer1 = Linear(weights, "map_layer0"), Linear(weights, "map_layer1")
        self.first = Conv(weights, f"enc.{resolutions[0]}x{resolutions[0]}_conv")
        self.downs, self.residuals, self.encoder = torch.nn.ModuleList(), torch.nn.ModuleList(), torch.nn.ModuleList()
        for level, r in enumerate(resolutions):
            if level > 0:
                self.downs.append(Block(weights, f"enc.{r}x{r}_down", down=True))
                if f"enc.{r}x{r}_aux_residual.weight" in weights:
                    self.residuals.append(Conv(weights, f"enc.{r}x{r}_aux_residual", down=True, fused=True))
            self.encoder.append(torch.nn.ModuleList(Block(weights, f"enc.{r}x{r}_block{i}") for i in range(blocks)))
        self.ups, self.decoder = torch.nn.ModuleList(), torch.nn.ModuleList()
        for level, r in reversed(list(enumerate(resolutions))):
            coarsest = level == len(resolutions) - 1
            names = [f"dec.{r}x{r}_in0", f"dec.{r}x{r}_in1"] if coarsest else [f"dec.{r}x{r}_up"]
            self.ups.append(torch.nn.ModuleList(Block(weights, name, up=not coarsest) for name in names))
            self.decoder.append(torch.nn.ModuleList(Block(weights, f"dec.{r}x{r}_block{i}") for i in range(blocks + 1)))
        last = f"dec.{resolutions[0]}x{resolutions[0]}_aux_"
        self.last_norm, self.last = Norm(weights, last + "norm"), Conv(weights, last + "conv")

    def forward(self, x, noise):
        angles = noise.ger(self.frequencies)
        # EDM swaps the halves: the cosines of its embedding stand behind the sines.
        emb = torch.cat([angles.sin(), angles.cos()], 1)
        emb = F.silu(self.layer1(F.silu(self.layer0(emb))))
        skips, aux = [], x
        for level, blocks in enumerate(self.encoder):
            if level == 0:
                x = self.first(x)
            else:
                x = self.downs[level - 1](x, emb)
                if self.residuals:
                    x = aux = (x + self.residuals[level - 1](aux)) * SQRT_HALF
            skips.append(x)
            for block in blocks:
                x = block(x, emb)
                skips.append(x)
        for entry, blocks in zip(self.ups, self.decoder):
            for block in entry:
                x = block(x, emb)
            for block in blocks:
                x = block(torch.cat([x, skips.pop()], 1), emb)
        return self.last(F.silu(self.last_norm(x)))


def denoise(network, x, sigma, sigma_data):
    """EDM's preconditioning (Karras et al. 2022, eq. 7)."""
    s = sigma.reshape(-1, 1, 1, 1)
    c_skip = sigma_data**2 / (s**2 + sigma_data**2)
    c_out = s * sigma_data / (s**2 + sigma_data**2).sqrt()
    c_in = 1 / (s**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * network(c_in * x, sigma.log() / 4)


def load_network(weights_path):
    """The network in a .safetensors file with its JSON, and the JSON."""
    weights, metadata = read_safetensors(weights_path)
    config = json.loads(metadata["config"])
    return NCSNpp(weights, config).eval(), config


def load(weights_path):
    """Returns denoise(x, sigma) of the network in a .safetensors file with its JSON."""
    network, config = load_network(weights_path)
    return lambda x, sigma: denoise(network, x, sigma, config.get("sigma_data", 0.5))
