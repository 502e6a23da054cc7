"""The networks of consistency_models, improved-diffusion and ddim in plain PyTorch."""
import math

import torch
import torch.nn.functional as F
from torch import nn

from twin_edm import heads_attention


# ---- consistency_models, improved-diffusion ----

def double(x):
    return F.interpolate(x, scale_factor=2, mode="nearest")


def halve(x):
    return F.avg_pool2d(x, 2)


class AdmBlock(nn.Module):
    def __init__(self, cin, cout, emb, scale_shift, resize=None):
        super().__init__()
        self.scale_shift, self.resize = scale_shift, resize
        self.in_layers = nn.Sequential(nn.GroupNorm(32, cin), nn.SiLU(), nn.Conv2d(cin, cout, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(emb, 2 * cout if scale_shift else cout))
        self.out_layers = nn.Sequential(nn.GroupNorm(32, cout), nn.SiLU(), nn.Dropout(0.0),
                                        nn.Conv2d(cout, cout, 3, padding=1))
        self.skip_connection = nn.Identity() if cin == cout else nn.Conv2d(cin, cout, 1)

    def forward(self, x, emb):
        norm, act, conv = self.in_layers
        h = act(norm(x))
        if self.resize:
            h, x = self.resize(h), self.resize(x)
        h, e = conv(h), self.emb_layers(emb)[:, :, None, None]
        if self.scale_shift:
            gain, shift = e.chunk(2, 1)
            h = self.out_layers[1:](self.out_layers[0](h) * (1 + gain) + shift)
        else:
            h = self.out_layers(h + e)
        return self.skip_connection(x) + h


class AdmAttention(nn.Module):
    def __init__(self, c, heads, layout, flat):
        super().__init__()
        conv = nn.Conv1d if flat else nn.Conv2d
        self.heads, self.layout, self.flat = heads, layout, flat
        self.norm, self.qkv, self.proj_out = nn.GroupNorm(32, c), conv(c, 3 * c, 1), conv(c, c, 1)

    def forward(self, x, emb):
        n, c, height, width = x.shape
        h = self.norm(x)
        qkv = self.qkv(h.flatten(2) if self.flat else h).reshape(n, 3 * c, height * width)
        d = c // self.heads
        if self.layout == "b (three h d) s":
            q, k, v = qkv.reshape(n, 3, self.heads, d, -1).unbind(1)
        else:
            q, k, v = qkv.reshape(n, self.heads, 3, d, -1).unbind(2)
        mixed = heads_attention(q, k, v)
        mixed = mixed.reshape(n, c, -1) if self.flat else mixed.reshape(n, c, height, width)
        return x + self.proj_out(mixed).reshape(x.shape)


class Downsample(nn.Module):
    def __init__(self, c, conv):
        super().__init__()
        self.op = nn.Conv2d(c, c, 3, stride=2, padding=1) if conv else nn.AvgPool2d(2)

    def forward(self, x, emb):
        return self.op(x)


class Upsample(nn.Module):
    def __init__(self, c, conv):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, padding=1) if conv else nn.Identity()

    def forward(self, x, emb):
        return self.conv(double(x))


class First(nn.Conv2d):
    def forward(self, x, emb):
        return super().forward(x)


class Adm(nn.Module):
    def __init__(self, image_size, model_channels, num_res_blocks, ds, in_channels=3, out_channels=3,
                 channel_mult=(1, 2, 4, 8), num_classes=None, conv_resample=True, resblock_updown=False,
                 use_scale_shift_norm=False, num_heads=1, num_head_channels=-1, num_heads_upsample=-1,
                 qkv_layout="b (three h d) s", flat=False):
        super().__init__()
        emb = 4 * model_channels
        self.model_channels = model_channels
        self.time_embed = nn.Sequential(nn.Linear(model_channels, emb), nn.SiLU(), nn.Linear(emb, emb))
        if num_classes:
            self.label_emb = nn.Embedding(num_classes, emb)

        def block(cin, cout, resize=None):
            return AdmBlock(cin, cout, emb, use_scale_shift_norm, resize)

        def attention(c, heads):
            return AdmAttention(c, c // num_head_channels if num_head_channels > 0 else heads, qkv_layout, flat)

        c = int(channel_mult[0] * model_channels)
        stages, skips, factor = [[First(in_channels, c, 3, padding=1)]], [c], 1
        for level, mult in enumerate(channel_mult):
            for _ in range(num_res_blocks):
                stage = [block(c, int(mult * model_channels))]
                c = int(mult * model_channels)
                if factor in ds:
                    stage.append(attention(c, num_heads))
                stages.append(stage)
                skips.append(c)
            if level + 1 < len(channel_mult):
                stages.append([block(c, c, halve) if resblock_updown else Downsample(c, conv_resample)])
                skips.append(c)
                factor *= 2
        self.input_blocks = nn.ModuleList(nn.ModuleList(stage) for stage in stages)
        self.middle_block = nn.ModuleList([block(c, c), attention(c, num_heads), block(c, c)])
        stages = []
        for level, mult in reversed(list(enumerate(channel_mult))):
            for i in range(num_res_blocks + 1):
                stage = [block(c + skips.pop(), int(mult * model_channels))]
                c = int(mult * model_channels)
                if factor in ds:
                    stage.append(attention(c, num_heads if num_heads_upsample == -1 else num_heads_upsample))
                if level and i == num_res_blocks:
                    stage.append(block(c, c, double) if resblock_updown else Upsample(c, conv_resample))
                    factor //= 2
                stages.append(stage)
        self.output_blocks = nn.ModuleList(nn.ModuleList(stage) for stage in stages)
        self.out = nn.Sequential(nn.GroupNorm(32, c), nn.SiLU(), nn.Conv2d(c, out_channels, 3, padding=1))

    def forward(self, x, time, labels):
        half = self.model_channels // 2
        angles = time[:, None] * torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32) / half)[None]
        emb = self.time_embed(torch.cat([angles.cos(), angles.sin()], 1))
        if hasattr(self, "label_emb"):
            emb = emb + self.label_emb(labels.argmax(1))
        skips = []
        for stage in self.input_blocks:
            for layer in stage:
                x = layer(x, emb)
            skips.append(x)
        for layer in self.middle_block:
            x = layer(x, emb)
        for stage in self.output_blocks:
            x = torch.cat([x, skips.pop()], 1)
            for layer in stage:
                x = layer(x, emb)
        return self.out(x)


# ---- ddim ----

class DdpmBlock(nn.Module):
    def __init__(self, cin, cout, emb):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(32, cin, eps=1e-6), nn.Conv2d(cin, cout, 3, padding=1)
        self.temb_proj = nn.Linear(emb, cout)
        self.norm2, self.conv2 = nn.GroupNorm(32, cout, eps=1e-6), nn.Conv2d(cout, cout, 3, padding=1)
        if cin != cout:
            self.nin_shortcut = nn.Conv2d(cin, cout, 1)

    def forward(self, x, emb):
        h = self.conv1(F.silu(self.norm1(x))) + self.temb_proj(F.silu(emb))[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class DdpmAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm = nn.GroupNorm(32, c, eps=1e-6)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(c, c, 1) for _ in range(4))

    def forward(self, x):
        h = self.norm(x)
        q, k, v = (part(h).flatten(2)[:, None] for part in (self.q, self.k, self.v))
        return x + self.proj_out(heads_attention(q, k, v).reshape(x.shape))


class DdpmResample(nn.Module):
    def __init__(self, c, with_conv, down):
        super().__init__()
        self.down = down
        if with_conv:
            self.conv = nn.Conv2d(c, c, 3, stride=2) if down else nn.Conv2d(c, c, 3, padding=1)

    def forward(self, x):
        if not self.down:
            return self.conv(double(x)) if hasattr(self, "conv") else double(x)
        return self.conv(F.pad(x, (0, 1, 0, 1))) if hasattr(self, "conv") else halve(x)


class Ddpm(nn.Module):
    def __init__(self, image_size, ch, ch_mult, num_res_blocks, attn_resolutions, in_channels=3, out_ch=3,
                 resamp_with_conv=True):
        super().__init__()
        self.ch, emb = ch, 4 * ch
        self.temb = nn.Module()
        self.temb.dense = nn.ModuleList([nn.Linear(ch, emb), nn.Linear(emb, emb)])
        self.conv_in = nn.Conv2d(in_channels, ch, 3, padding=1)
        self.down, self.up, skips, c = nn.ModuleList(), nn.ModuleList(), [ch], ch

        def level_of(res, count, inputs, out):
            level = nn.Module()
            level.block = nn.ModuleList(DdpmBlock(cin, out, emb) for cin in inputs)
            level.attn = nn.ModuleList(DdpmAttention(out) for _ in range(count if res in attn_resolutions else 0))
            return level

        for i, mult in enumerate(ch_mult):
            out = ch * mult
            level = level_of(image_size >> i, num_res_blocks, [c] + [out] * (num_res_blocks - 1), out)
            c = out
            skips += [out] * num_res_blocks
            if i + 1 < len(ch_mult):
                level.downsample = DdpmResample(c, resamp_with_conv, down=True)
                skips.append(c)
            self.down.append(level)
        self.mid = nn.Module()
        self.mid.block_1, self.mid.attn_1, self.mid.block_2 = DdpmBlock(c, c, emb), DdpmAttention(c), DdpmBlock(c, c, emb)
        ups = []
        for i, mult in reversed(list(enumerate(ch_mult))):
            out, inputs = ch * mult, []
            for _ in range(num_res_blocks + 1):
                inputs.append(c + skips.pop())
                c = out
            level = level_of(image_size >> i, num_res_blocks + 1, inputs, out)
            if i:
                level.upsample = DdpmResample(c, resamp_with_conv, down=False)
            ups.insert(0, level)
        self.up.extend(ups)
        self.norm_out, self.conv_out = nn.GroupNorm(32, c, eps=1e-6), nn.Conv2d(c, out_ch, 3, padding=1)

    def forward(self, x, time, labels):
        half = self.ch // 2
        angles = time[:, None] * torch.exp(torch.arange(half, dtype=torch.float32) * -(math.log(10000) / (half - 1)))[None]
        emb = self.temb.dense[1](F.silu(self.temb.dense[0](torch.cat([angles.sin(), angles.cos()], 1))))
        skips = [self.conv_in(x)]
        for level in self.down:
            for i, block in enumerate(level.block):
                h = block(skips[-1], emb)
                skips.append(level.attn[i](h) if len(level.attn) else h)
            if hasattr(level, "downsample"):
                skips.append(level.downsample(skips[-1]))
        h = self.mid.block_2(self.mid.attn_1(self.mid.block_1(skips[-1], emb)), emb)
        for level in reversed(self.up):
            for i, block in enumerate(level.block):
                h = block(torch.cat([h, skips.pop()], 1), emb)
                h = level.attn[i](h) if len(level.attn) else h
            if hasattr(level, "upsample"):
                h = level.upsample(h)
        return self.conv_out(F.silu(self.norm_out(h)))
