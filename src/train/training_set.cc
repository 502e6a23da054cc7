#include "lcsc/train/training_set.h"

#include "lcsc/base/error.h"
#include "lcsc/base/philox.h"

namespace lcsc {
namespace {

std::uint64_t Next64Bits(RandomStream& stream) {
  const std::uint64_t high = stream.NextBits();
  return high << 32 | stream.NextBits();
}

at::Tensor Normals(RandomStream& stream, at::IntArrayRef shape) {
  at::Tensor normals = at::empty(shape, at::kFloat);
  stream.FillNormal({normals.data_ptr<float>(), static_cast<std::size_t>(normals.numel())});
  return normals;
}

}  // namespace

TrainingSet::TrainingSet(ImageSet images, const TrainingSetOptions& options)
    : set_(std::move(images)), options_(options) {
  LCSC_CHECK(set_.images.size(0) > 0 && set_.labels.defined());
  num_classes_ = set_.labels.max().item<std::int64_t>() + 1;
}

TrainingBatch TrainingSet::Draw(TrainingStage stage, std::int64_t iteration) const {
  const auto stream_for = [&](RandomPurpose purpose) {
    return RandomStream({.purpose = purpose,
                         .seed = options_.seed,
                         .index = static_cast<std::uint64_t>(iteration),
                         .part = static_cast<std::uint32_t>(stage)});
  };
  RandomStream batch_stream = stream_for(RandomPurpose::kTrainingBatch);
  const auto num_images = static_cast<std::uint64_t>(set_.images.size(0));
  at::Tensor chosen = at::empty({options_.batch_size}, at::kLong);
  for (std::int64_t i = 0; i < options_.batch_size; ++i) {
    chosen[i] = static_cast<std::int64_t>(batch_stream.NextBelow(num_images));
  }
  TrainingBatch batch;
  batch.pixels = set_.images.index_select(0, chosen);
  batch.images = batch.pixels.to(at::kFloat) / 127.5 - 1;
  batch.classes = set_.labels.index_select(0, chosen);
  batch.dropout_seed = Next64Bits(batch_stream);

  RandomStream noise_stream = stream_for(RandomPurpose::kTrainingNoise);
  batch.level_normals = Normals(noise_stream, {options_.batch_size});
  batch.noise = Normals(noise_stream, batch.images.sizes());
  return batch;
}

std::uint64_t TrainingSet::InitialWeightsSeed(TrainingStage stage) const {
  RandomStream stream({.purpose = RandomPurpose::kInitialWeights,
                       .seed = options_.seed,
                       .index = 0,
                       .part = static_cast<std::uint32_t>(stage)});
  return Next64Bits(stream);
}

}  // namespace lcsc
