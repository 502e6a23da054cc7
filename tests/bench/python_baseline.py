"""One LCSC candidate as plain PyTorch, numpy and scipy compute it: what candidate_compare.py measures ours against.

The checkpoints are state dicts in memory, merged in a loop over them, tensor by tensor; samples are drawn in one step of
the consistency sampler, in batches; features are of the digits' extractor or of the Inception; numpy makes their mean and
covariance, scipy the root of the product of the covariances. Nothing of it is slowed down on purpose, and nothing is
done that such a script would not do.
"""
import time

import numpy as np
import scipy.linalg
import torch
import torch.nn.functional as F

import inception_pytorch
import ncsnpp_pytorch


class DigitsExtractor(torch.nn.Module):
    def __init__(self, weights):
        super().__init__()
        self.conv0, self.conv1, self.conv2 = (
            ncsnpp_pytorch.Conv(weights, name, down=name + ".resample_filter" in weights)
            for name in ("conv0", "conv1", "conv2"))
        self.feature = ncsnpp_pytorch.Linear(weights, "feature")

    def forward(self, images):
        x = images.float() / 127.5 - 1
        for conv in (self.conv0, self.conv1, self.conv2):
            x = F.silu(conv(x))
        return F.silu(self.feature(x.flatten(1)))


class InceptionExtractor(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.network = inception_pytorch.make_network()

    def forward(self, images):
        return self.network(inception_pytorch.pytorch_fid_input(images))["2048"]


def load_extractor(path):
    weights, _ = ncsnpp_pytorch.read_safetensors(path)
    return (DigitsExtractor(weights) if "conv0.weight" in weights else InceptionExtractor()).eval()


class Baseline:
    def __init__(self, folder, batch, sigma_max=80.0):
        paths = sorted(folder.glob("step-*.safetensors"))
        self.network, config = ncsnpp_pytorch.load_network(paths[0])
        self.sigma_data = config.get("sigma_data", 0.5)
        self.checkpoints = [ncsnpp_pytorch.load_network(path)[0].state_dict() for path in paths]
        self.extractor = load_extractor(folder / "extractor.safetensors")
        with np.load(folder / "reference.npz") as reference:
            self.mu, self.sigma = reference["mu"], reference["sigma"]
        self.batch, self.sigma_max = batch, sigma_max

    def merge(self, coefficients):
        first = self.checkpoints[0]
        merged = {name: tensor.clone() for name, tensor in first.items()}
        for a, checkpoint in zip(coefficients[1:], self.checkpoints[1:]):
            for name in merged:
                merged[name] += a * (checkpoint[name] - first[name])
        self.network.load_state_dict(merged)

    def sample(self, noise):
        """noise: [n, c, h, w]; returns uint8 images."""
        images = []
        for x in noise.split(self.batch):
            sigma = torch.full((len(x),), self.sigma_max)
            x = ncsnpp_pytorch.denoise(self.network, x * self.sigma_max, sigma, self.sigma_data).clamp(-1, 1)
            images.append(((x + 1) * 127.5).clamp(0, 255).to(torch.uint8))
        return torch.cat(images)

    def features(self, images):
        return torch.cat([self.extractor(part) for part in images.split(self.batch)]).numpy().astype(np.float64)

    def distance(self, features):
        mu, sigma = features.mean(0), np.cov(features, rowvar=False)
        root = scipy.linalg.sqrtm(sigma.dot(self.sigma), disp=False)[0]
        if np.iscomplexobj(root):
            root = root.real
        return float(((mu - self.mu) ** 2).sum() + np.trace(sigma) + np.trace(self.sigma) - 2 * np.trace(root))

    @torch.inference_mode()
    def candidate(self, coefficients, noise_or_shape):
        """Seconds of each stage, and the score. noise_or_shape: the noise, or the shape of noise to be drawn."""
        seconds, clock = {}, time.perf_counter()

        def lap(stage):
            nonlocal clock
            now = time.perf_counter()
            seconds[stage], clock = now - clock, now

        self.merge(coefficients)
        lap("merge")
        drawn = not isinstance(noise_or_shape, torch.Tensor)
        images = self.sample(torch.randn(noise_or_shape) if drawn else noise_or_shape)
        lap("sample")
        features = self.features(images)
        lap("features")
        score = self.distance(features)
        lap("distance")
        return seconds, score
