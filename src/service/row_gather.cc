#include "row_gather.h"

#include <algorithm>
#include <vector>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

std::size_t CountOf(const at::Tensor& tensor) { return static_cast<std::size_t>(tensor.numel()); }

// A rank without rows does not know how wide they are.
std::int64_t WidthOf(std::span<const at::Tensor> batches, Collective& group) {
  std::vector<float> widths(static_cast<std::size_t>(group.group_size()));
  if (!batches.empty()) {
    widths[static_cast<std::size_t>(group.group_rank())] = static_cast<float>(batches.front().size(1));
  }
  group.AllGather(widths, SplitEvenly(group.group_size(), group.group_size()));
  return static_cast<std::int64_t>(*std::ranges::max_element(widths));
}

}  // namespace

at::Tensor GatherRows(std::span<const at::Tensor> batches, std::span<const Part> parts, Collective& group) {
  const std::int64_t width = WidthOf(batches, group);
  const at::Tensor own =
      batches.empty() ? at::empty({0, width}, at::kFloat)
                      : at::cat(at::TensorList(batches.data(), batches.size())).to(at::kCPU, at::kFloat).contiguous();
  LCSC_CHECK(own.dim() == 2 && own.size(0) == parts[static_cast<std::size_t>(group.group_rank())].size());
  if (group.group_size() == 1) return own;
  at::Tensor whole = at::empty({group.IsLeader() ? parts.back().end : 0, width}, at::kFloat);
  group.GatherRowsToLeader({own.data_ptr<float>(), CountOf(own)}, {whole.data_ptr<float>(), CountOf(whole)},
                           {.parts = parts, .row_size = width});
  return group.IsLeader() ? whole : at::Tensor();
}

}  // namespace lcsc
