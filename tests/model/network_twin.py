#!/usr/bin/env python3
"""Writes tests/data/network_variants.safetensors: what small networks compute, by a second, plain PyTorch account of the
published architectures (Karras et al. 2022, App. F.1; Dhariwal & Nichol 2021; Nichol & Dhariwal 2021; Ho et al. 2020).

    python3 tests/model/network_twin.py tests/data/network_variants.safetensors

Weights are a formula of the tensor's name and the element's index (see fill), which the test evaluates as well; the file
holds each variant's network JSON, tensor names and shapes (as metadata), inputs and outputs.
"""
import json
import math
import struct
import sys

import torch
from torch import nn

from twin_edm import Dhariwal, Song
from twin_openai import Adm, Ddpm


def fill(network):
    """Values in (-1, 1) without a pattern, scaled by what the tensor is."""
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("resample_filter"):
                continue
            i = torch.arange(1, tensor.numel() + 1, dtype=torch.float64)
            phase = sum(byte * (k + 1) for k, byte in enumerate(name.encode())) % 997 / 997
            u = i * 0.6180339887498949 + i * i * 0.0031415926535 + phase
            v = (u - u.floor()) * 2 - 1
            if name.endswith("freqs"):
                v = v * 4
            elif tensor.dim() == 1:
                v = v * 0.2 + (1 if name.endswith("weight") else 0)
            else:
                v = v * math.sqrt(3 / (tensor.numel() / tensor.shape[0]))
            tensor.copy_(v.reshape(tensor.shape).to(torch.float32))
    return network.eval()


class Prefixed(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model


def edm(json_, network, scalings):
    """scalings: sigma [n] -> c_skip, c_out, c_in, c_noise."""
    wrapped = fill(Prefixed(network))

    def denoise(x, sigma, labels):
        c_skip, c_out, c_in, c_noise = scalings(sigma)
        each = lambda v: v.reshape(-1, 1, 1, 1)
        return each(c_skip) * x + each(c_out) * wrapped.model(each(c_in) * x, c_noise, labels)

    return json_, wrapped, denoise


def bare(json_, network, denoise):
    network = fill(network)
    return json_, network, lambda x, sigma, labels: denoise(network, x, sigma, labels)


def edm_scalings(boundary=0.0, cm=False, sd=0.5):
    def scalings(s):
        above = s - boundary
        noise = 250 * s.log() if cm else s.log() / 4
        return (sd ** 2 / (above ** 2 + sd ** 2), above * sd / (s ** 2 + sd ** 2).sqrt(), 1 / (s ** 2 + sd ** 2).sqrt(),
                noise)
    return scalings


def karras(**options):
    scalings = edm_scalings(**options)

    def denoise(network, x, sigma, labels):
        c_skip, c_out, c_in, c_noise = (v.reshape(-1, 1, 1, 1) for v in scalings(sigma))
        return c_skip * x + c_out * network(c_in * x, c_noise.flatten(), labels)
    return denoise


def noise_levels(betas, steps):
    """EDM's sigma at whole steps of a discrete process, float64."""
    alpha_bar = torch.cumprod(1 - betas, 0)[steps]
    return ((1 - alpha_bar) / alpha_bar).sqrt()


def epsilon(steps, scale=1.0):
    def denoise(network, x, sigma, labels):
        level = sigma.reshape(-1, 1, 1, 1)
        output = network((x / (1 + level ** 2).sqrt()).float(), torch.tensor(steps) * scale, labels)
        return (x - level * output[:, :x.shape[1]]).float()
    return denoise


def variants():
    edm_sigma = torch.tensor([0.03, 1.7, 40.0])
    # (name, (json, module, denoise), sigma, label_dim)
    args = dict(img_resolution=8, img_channels=2, label_dim=3, augment_dim=2, model_channels=8, channel_mult=[1, 2, 2],
                num_blocks=1, attn_resolutions=[4], embedding_type="fourier", channel_mult_noise=2,
                encoder_type="skip", decoder_type="skip", resample_filter=[1, 3, 3, 1])
    ve = lambda s: (torch.ones_like(s), s, torch.ones_like(s), (0.5 * s).log())
    yield "song_skip_ve", edm(dict(args, model_type="SongUNet", precond="VEPrecond"), Song(**args), ve), edm_sigma, 3
    args = dict(img_resolution=8, img_channels=3, model_channels=12, channel_mult=[2, 1], num_blocks=2,
                attn_resolutions=[], channel_mult_emb=2, encoder_type="residual", decoder_type="skip")
    beta_d, beta_min = 10.0, 0.2
    vp = lambda s: (torch.ones_like(s), -s, 1 / (1 + s ** 2).sqrt(),
                    99 * ((beta_min ** 2 + 2 * beta_d * (1 + s ** 2).log()).sqrt() - beta_min) / beta_d)
    json_ = dict(args, class_name="training.networks.VPPrecond", beta_d=beta_d, beta_min=beta_min, M=100, epsilon_t=1e-4,
                 use_fp16=False)
    yield "song_residual_vp", edm(json_, Song(**args), vp), edm_sigma, 0
    args = dict(img_resolution=4, img_channels=1, model_channels=16, channel_mult=[1], num_blocks=1, attn_resolutions=[4])
    json_ = dict(args, model_type="SongUNet", precond="ConsistencyPrecond", sigma_min=0.01, sigma_data=0.7, c_noise="cm")
    yield "song_consistency_cm", edm(json_, Song(**args), edm_scalings(0.01, True, 0.7)), edm_sigma, 0
    args = dict(img_resolution=8, img_channels=3, model_channels=32, channel_mult=[2, 4], num_blocks=2, augment_dim=3,
                attn_resolutions=[8], channel_mult_emb=1)
    yield "dhariwal_two_heads", edm(dict(args, precond="EDMPrecond"), Dhariwal(**args), edm_scalings()), edm_sigma, 0
    args = dict(img_resolution=8, img_channels=1, model_channels=20, channel_mult=[1, 2, 3], num_blocks=1, label_dim=4)
    json_ = dict(args, model_type="DhariwalUNet", precond="EDMPrecond", timestep_type="cm")
    yield "dhariwal_three_levels_cm", edm(json_, Dhariwal(**args), edm_scalings(cm=True)), edm_sigma, 4

    args = dict(image_size=8, in_channels=1, out_channels=1, model_channels=32, num_res_blocks=1,
                channel_mult=[1, 1, 2], conv_resample=False, num_heads=2, num_heads_upsample=4)
    json_ = dict(args, model_type="adm", attention_resolutions="8,2", distillation=False, timestep_type="edm",
                 num_classes=None, num_head_channels=-1)
    yield "adm_pooling", bare(json_, Adm(ds=[1, 4], **args), karras()), edm_sigma, 0
    args = dict(image_size=8, model_channels=32, num_res_blocks=2, channel_mult=[2, 1], num_classes=5,
                num_head_channels=16, qkv_layout="b (h three d) s", use_scale_shift_norm=True)
    json_ = dict(args, model_type="adm", attention_resolutions=[2], distillation=True, sigma_min=0.005)
    yield "adm_strided_legacy", bare(json_, Adm(ds=[2], **args), karras(boundary=0.005, cm=True)), edm_sigma, 5
    args = dict(image_size=4, model_channels=64, num_res_blocks=1, channel_mult=[0.5, 1], resblock_updown=True)
    json_ = dict(args, model_type="adm", attention_resolutions="4", attention_ds=[1], num_heads=4)
    yield "adm_fraction", bare(json_, Adm(ds=[1], num_heads=4, **args), karras(cm=True)), edm_sigma, 0

    args = dict(image_size=8, model_channels=32, out_channels=6, num_res_blocks=1, channel_mult=[1, 2],
                conv_resample=False, num_classes=4, num_heads=2)
    json_ = dict(args, model_type="improved_ddpm", attention_resolutions=[1, 2], beta_schedule="linear",
                 num_diffusion_timesteps=500, rescale_timesteps=True)
    betas = torch.linspace(2e-4, 0.04, 500, dtype=torch.float64)
    network = Adm(ds=[1, 2], qkv_layout="b (h three d) s", flat=True, **args)
    yield ("improved_rescaled", bare(json_, network, epsilon([3, 250, 499], 2.0)),
           noise_levels(betas, [3, 250, 499]), 4)

    args = dict(image_size=8, ch=32, ch_mult=[1, 1, 2], num_res_blocks=1, attn_resolutions=[8, 2], in_channels=1,
                out_ch=1, resamp_with_conv=False)
    json_ = dict(args, beta_schedule="quad", beta_start=0.0009, beta_end=0.01, num_diffusion_timesteps=200)
    betas = torch.linspace(0.0009 ** 0.5, 0.1, 200, dtype=torch.float64) ** 2
    yield "ddpm_pooling", bare(json_, Ddpm(**args), epsilon([0, 77, 199])), noise_levels(betas, [0, 77, 199]), 0
    args = dict(image_size=4, ch=64, ch_mult=[2, 1], num_res_blocks=2, attn_resolutions=[2])
    json_ = dict(args, type="simple", var_type="fixedlarge", ema=True, ema_rate=0.9999, dropout=0.1)
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    yield "ddpm_convolutions", bare(json_, Ddpm(**args), epsilon([10, 500, 999])), noise_levels(betas, [10, 500, 999]), 0


def main(path):
    tensors, metadata = {}, {}
    generator = torch.Generator().manual_seed(0)
    for name, (json_, module, denoise), sigma, label_dim in variants():
        size = json_.get("img_resolution") or json_["image_size"]
        channels = json_.get("img_channels") or json_.get("in_channels", 3)
        x = torch.randn(3, channels, size, size, generator=generator) * (1 + sigma.reshape(-1, 1, 1, 1).float())
        labels = torch.eye(label_dim)[[label_dim - 1, 0, 1]] if label_dim else None
        with torch.no_grad():
            tensors[f"{name}.denoised"] = denoise(x, sigma, labels)
        tensors[f"{name}.x"], tensors[f"{name}.sigma"] = x, sigma
        if label_dim:
            tensors[f"{name}.class_labels"] = labels
        shapes = {key: list(value.shape) for key, value in module.state_dict().items()}
        metadata[name] = json.dumps({"config": json_, "tensors": shapes})
    header, data = {"__metadata__": metadata}, b""
    for name in sorted(tensors):
        values = tensors[name].contiguous()
        raw = values.numpy().tobytes()
        kind = {torch.float32: "F32", torch.float64: "F64"}[values.dtype]
        header[name] = {"dtype": kind, "shape": list(values.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    main(sys.argv[1])
