#include "row_gather.h"

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

std::size_t CountOf(const at::Tensor& tensor) { return static_cast<std::size_t>(tensor.numel()); }

}  // namespace

at::Tensor GatherRows(const std::vector<at::Tensor>& batches, const std::vector<Part>& parts, Collective& group) {
  const at::Tensor own = at::cat(batches).to(at::kCPU, at::kFloat).contiguous();
  LCSC_CHECK(own.dim() == 2 && own.size(0) == parts[static_cast<std::size_t>(group.group_rank())].size());
  if (group.group_size() == 1) return own;
  at::Tensor whole = at::empty({group.IsLeader() ? parts.back().end : 0, own.size(1)}, at::kFloat);
  group.GatherRowsToLeader({own.data_ptr<float>(), CountOf(own)}, {whole.data_ptr<float>(), CountOf(whole)},
                           {.parts = parts, .row_size = own.size(1)});
  return group.IsLeader() ? whole : at::Tensor();
}

}  // namespace lcsc
