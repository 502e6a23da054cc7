"""EDM's networks (Karras et al. 2022, App. B and F.1; Song et al. 2021, App. H) in plain PyTorch."""
import math

import torch
import torch.nn.functional as F
from torch import nn

ROOT = 1 / math.sqrt(2)


def heads_attention(q, k, v):
    """q, k, v: [n, heads, d, pixels]."""
    weights = torch.einsum("nhdq,nhdk->nhqk", q, k / math.sqrt(q.shape[2])).softmax(-1)
    return torch.einsum("nhqk,nhdk->nhdq", weights, v)


def edm_norm(channels, eps):
    return nn.GroupNorm(min(32, channels // 4), channels, eps=eps)


class EdmConv(nn.Module):
    def __init__(self, cin, cout, kernel, up=False, down=False, taps=(1, 1), fused=False):
        super().__init__()
        self.up, self.down, self.fused, self.kernel = up, down, fused, kernel
        if kernel:
            self.weight = nn.Parameter(torch.zeros(cout, cin, kernel, kernel))
            self.bias = nn.Parameter(torch.zeros(cout))
        if up or down:
            line = torch.tensor(taps, dtype=torch.float32)
            self.register_buffer("resample_filter", (line[:, None] * line[None] / line.sum() ** 2)[None, None])

    def filtered(self, x, pad):
        c = x.shape[1]
        f = self.resample_filter.repeat(c, 1, 1, 1)
        if self.up:
            return F.conv_transpose2d(x, 4 * f, stride=2, padding=pad, groups=c)
        return F.conv2d(x, f, stride=2, padding=pad, groups=c)

    def forward(self, x):
        w_pad = self.kernel // 2
        f_pad = (self.resample_filter.shape[-1] - 1) // 2 if self.up or self.down else 0
        if self.fused and self.down:
            return self.filtered(F.conv2d(x, self.weight, padding=w_pad + f_pad), 0) + self.bias[:, None, None]
        if self.up or self.down:
            x = self.filtered(x, f_pad)
        return F.conv2d(x, self.weight, self.bias, padding=w_pad) if self.kernel else x


class EdmBlock(nn.Module):
    def __init__(self, cin, cout, emb, up=False, down=False, heads=0, taps=(1, 1), song=True):
        super().__init__()
        eps = 1e-6 if song else 1e-5
        self.song, self.heads, self.scale = song, heads, ROOT if song else 1
        self.norm0 = edm_norm(cin, eps)
        self.conv0 = EdmConv(cin, cout, 3, up, down, taps)
        self.affine = nn.Linear(emb, cout if song else 2 * cout)
        self.norm1 = edm_norm(cout, eps)
        self.conv1 = EdmConv(cout, cout, 3)
        self.skip = None
        if cin != cout or up or down:
            self.skip = EdmConv(cin, cout, 1 if song or cin != cout else 0, up, down, taps)
        if heads:
            self.norm2 = edm_norm(cout, eps)
            self.qkv = EdmConv(cout, 3 * cout, 1)
            self.proj = EdmConv(cout, cout, 1)

    def forward(self, x, emb):
        h = self.conv0(F.silu(self.norm0(x)))
        p = self.affine(emb)[:, :, None, None]
        if self.song:
            h = self.norm1(h + p)
        else:
            gain, shift = p.chunk(2, 1)
            h = self.norm1(h) * (1 + gain) + shift
        x = (self.conv1(F.silu(h)) + (self.skip(x) if self.skip else x)) * self.scale
        if self.heads:
            n, c, height, width = x.shape
            qkv = self.qkv(self.norm2(x)).reshape(n, self.heads, c // self.heads, 3, height * width)
            mixed = heads_attention(qkv[:, :, :, 0], qkv[:, :, :, 1], qkv[:, :, :, 2])
            x = (self.proj(mixed.reshape(n, c, height, width)) + x) * self.scale
        return x


def positional(time, channels, last):
    half = channels // 2
    freqs = (1 / 10000) ** (torch.arange(half, dtype=torch.float32) / (half - 1 if last else half))
    angles = time[:, None] * freqs[None]
    return (torch.cat([angles.sin(), angles.cos()], 1) if last else torch.cat([angles.cos(), angles.sin()], 1))


class Fourier(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.register_buffer("freqs", torch.zeros(channels // 2))

    def forward(self, time):
        angles = time[:, None] * (2 * math.pi * self.freqs)[None]
        return torch.cat([angles.sin(), angles.cos()], 1)


class Song(nn.Module):
    def __init__(self, img_resolution, img_channels, label_dim=0, augment_dim=0, model_channels=128,
                 channel_mult=(1, 2, 2, 2), channel_mult_emb=4, num_blocks=4, attn_resolutions=(16,),
                 embedding_type="positional", channel_mult_noise=1, encoder_type="standard", decoder_type="standard",
                 resample_filter=(1, 1)):
        super().__init__()
        emb, noise = model_channels * channel_mult_emb, model_channels * channel_mult_noise
        self.noise, self.label_dim = noise, label_dim
        if embedding_type == "fourier":
            self.map_noise = Fourier(noise)
        if label_dim:
            self.map_label = nn.Linear(label_dim, noise)
        if augment_dim:
            self.map_augment = nn.Linear(augment_dim, noise, bias=False)
        self.map_layer0, self.map_layer1 = nn.Linear(noise, emb), nn.Linear(emb, emb)
        self.enc, self.dec = nn.ModuleDict(), nn.ModuleDict()
        taps, aux, c, skips = resample_filter, img_channels, model_channels, []
        for level, mult in enumerate(channel_mult):
            res = img_resolution >> level
            if level == 0:
                self.enc[f"{res}x{res}_conv"] = EdmConv(img_channels, c, 3)
            else:
                self.enc[f"{res}x{res}_down"] = EdmBlock(c, c, emb, down=True, taps=taps)
                if encoder_type == "skip":
                    self.enc[f"{res}x{res}_aux_down"] = EdmConv(aux, aux, 0, down=True, taps=taps)
                    self.enc[f"{res}x{res}_aux_skip"] = EdmConv(aux, c, 1)
                if encoder_type == "residual":
                    self.enc[f"{res}x{res}_aux_residual"] = EdmConv(aux, c, 3, down=True, taps=taps, fused=True)
                    aux = c
            skips.append(c)
            for i in range(num_blocks):
                out = model_channels * mult
                self.enc[f"{res}x{res}_block{i}"] = EdmBlock(c, out, emb, heads=int(res in attn_resolutions), taps=taps)
                c = out
                skips.append(c)
        for level, mult in reversed(list(enumerate(channel_mult))):
            res = img_resolution >> level
            if level == len(channel_mult) - 1:
                self.dec[f"{res}x{res}_in0"] = EdmBlock(c, c, emb, heads=1, taps=taps)
                self.dec[f"{res}x{res}_in1"] = EdmBlock(c, c, emb, taps=taps)
            else:
                self.dec[f"{res}x{res}_up"] = EdmBlock(c, c, emb, up=True, taps=taps)
            for i in range(num_blocks + 1):
                attends = i == num_blocks and res in attn_resolutions
                out = model_channels * mult
                self.dec[f"{res}x{res}_block{i}"] = EdmBlock(c + skips.pop(), out, emb, heads=int(attends), taps=taps)
                c = out
            if decoder_type == "skip" or level == 0:
                if decoder_type == "skip" and level < len(channel_mult) - 1:
                    self.dec[f"{res}x{res}_aux_up"] = EdmConv(img_channels, img_channels, 0, up=True, taps=taps)
                self.dec[f"{res}x{res}_aux_norm"] = edm_norm(c, 1e-6)
                self.dec[f"{res}x{res}_aux_conv"] = EdmConv(c, img_channels, 3)

    def forward(self, x, time, labels):
        emb = self.map_noise(time) if hasattr(self, "map_noise") else positional(time, self.noise, last=True)
        if self.label_dim:
            emb = emb + self.map_label(labels * math.sqrt(self.label_dim))
        emb = F.silu(self.map_layer1(F.silu(self.map_layer0(emb))))
        skips, aux = [], x
        for name, layer in self.enc.items():
            if "aux_down" in name:
                aux = layer(aux)
            elif "aux_skip" in name:
                x = skips[-1] = x + layer(aux)
            elif "aux_residual" in name:
                x = skips[-1] = aux = (x + layer(aux)) * ROOT
            else:
                x = layer(x, emb) if isinstance(layer, EdmBlock) else layer(x)
                skips.append(x)
        image = None
        for name, layer in self.dec.items():
            if "aux_up" in name:
                image = layer(image)
            elif "aux_norm" in name:
                normed = layer(x)
            elif "aux_conv" in name:
                new = layer(F.silu(normed))
                image = new if image is None else image + new
            else:
                if "block" in name:
                    x = torch.cat([x, skips.pop()], 1)
                x = layer(x, emb)
        return image


class Dhariwal(nn.Module):
    def __init__(self, img_resolution, img_channels, label_dim=0, augment_dim=0, model_channels=192,
                 channel_mult=(1, 2, 3, 4), channel_mult_emb=4, num_blocks=3, attn_resolutions=(32, 16, 8)):
        super().__init__()
        emb = model_channels * channel_mult_emb
        self.noise = model_channels
        if augment_dim:
            self.map_augment = nn.Linear(augment_dim, model_channels, bias=False)
        self.map_layer0, self.map_layer1 = nn.Linear(model_channels, emb), nn.Linear(emb, emb)
        self.map_label = nn.Linear(label_dim, emb, bias=False) if label_dim else None
        self.enc, self.dec = nn.ModuleDict(), nn.ModuleDict()

        def block(cin, cout, attends=False, **resample):
            return EdmBlock(cin, cout, emb, heads=cout // 64 if attends else 0, song=False, **resample)

        c, skips = model_channels * channel_mult[0], []
        for level, mult in enumerate(channel_mult):
            res = img_resolution >> level
            if level == 0:
                self.enc[f"{res}x{res}_conv"] = EdmConv(img_channels, c, 3)
            else:
                self.enc[f"{res}x{res}_down"] = block(c, c, down=True)
            skips.append(c)
            for i in range(num_blocks):
                out = model_channels * mult
                self.enc[f"{res}x{res}_block{i}"] = block(c, out, res in attn_resolutions)
                c = out
                skips.append(c)
        for level, mult in reversed(list(enumerate(channel_mult))):
            res = img_resolution >> level
            if level == len(channel_mult) - 1:
                self.dec[f"{res}x{res}_in0"], self.dec[f"{res}x{res}_in1"] = block(c, c, True), block(c, c)
            else:
                self.dec[f"{res}x{res}_up"] = block(c, c, up=True)
            for i in range(num_blocks + 1):
                out = model_channels * mult
                self.dec[f"{res}x{res}_block{i}"] = block(c + skips.pop(), out, res in attn_resolutions)
                c = out
        self.out_norm, self.out_conv = edm_norm(c, 1e-5), EdmConv(c, img_channels, 3)

    def forward(self, x, time, labels):
        emb = self.map_layer1(F.silu(self.map_layer0(positional(time, self.noise, last=False))))
        if self.map_label:
            emb = emb + self.map_label(labels)
        emb, skips = F.silu(emb), []
        for layer in self.enc.values():
            x = layer(x, emb) if isinstance(layer, EdmBlock) else layer(x)
            skips.append(x)
        for name, layer in self.dec.items():
            x = layer(torch.cat([x, skips.pop()], 1) if "block" in name else x, emb)
        return self.out_conv(F.silu(self.out_norm(x)))
