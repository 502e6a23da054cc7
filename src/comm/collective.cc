#include "lcsc/comm/collective.h"

#include <limits>

#include "lcsc/base/error.h"
#include "lcsc/base/fault_point.h"
#include "lcsc/base/stage_board.h"
#include "lcsc/comm/mpi_session.h"

namespace lcsc {
namespace {

int CountOf(std::int64_t size) {
  LCSC_CHECK(size <= std::numeric_limits<int>::max());
  return static_cast<int>(size);
}

void CollectiveFaultPoint(const char* name) { FaultPoint({.name = name, .number = OwnActivity().candidate_id}); }

}  // namespace

std::vector<Part> SplitEvenly(std::int64_t total, int num_parts) {
  std::vector<Part> parts;
  std::int64_t begin = 0;
  for (int part = 0; part < num_parts; ++part) {
    const std::int64_t end = begin + total / num_parts + (part < total % num_parts ? 1 : 0);
    parts.push_back({begin, end});
    begin = end;
  }
  return parts;
}

MpiCollective::MpiCollective(MPI_Comm group) : group_(group) {
  LCSC_MPI_CHECK(MPI_Comm_set_errhandler(group_, MPI_ERRORS_RETURN));
  LCSC_MPI_CHECK(MPI_Comm_rank(group_, &group_rank_));
  LCSC_MPI_CHECK(MPI_Comm_size(group_, &group_size_));
}

std::unique_ptr<Collective> MpiCollective::Duplicate() {
  MPI_Comm duplicate = MPI_COMM_NULL;
  LCSC_MPI_CHECK(MPI_Comm_dup(group_, &duplicate));
  return std::make_unique<MpiCollective>(duplicate);
}

void MpiCollective::AllGather(std::span<float> whole, std::span<const Part> parts) {
  CollectiveFaultPoint("collective.gather");
  LCSC_CHECK(static_cast<int>(parts.size()) == group_size_);
  std::vector<int> counts, offsets;
  for (const Part& part : parts) {
    counts.push_back(CountOf(part.size()));
    offsets.push_back(CountOf(part.begin));
  }
  MPI_Request request = MPI_REQUEST_NULL;
  LCSC_MPI_CHECK(MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, whole.data(), counts.data(), offsets.data(),
                                 MPI_FLOAT, group_, &request));
  WaitPolitely(&request);
}

void MpiCollective::GatherRowsToLeader(std::span<const float> own, std::span<float> whole, const RowParts& rows) {
  CollectiveFaultPoint("collective.gather_rows");
  LCSC_CHECK(static_cast<int>(rows.parts.size()) == group_size_ && rows.row_size > 0);
  const std::int64_t own_rows = rows.parts[static_cast<std::size_t>(group_rank_)].size();
  LCSC_CHECK(static_cast<std::int64_t>(own.size()) == own_rows * rows.row_size);
  LCSC_CHECK(!IsLeader() || static_cast<std::int64_t>(whole.size()) == rows.parts.back().end * rows.row_size);
  std::vector<int> counts, offsets;
  for (const Part& part : rows.parts) {
    counts.push_back(CountOf(part.size()));
    offsets.push_back(CountOf(part.begin));
  }
  // Counted in rows: a table of floats may have more elements than MPI can count.
  MPI_Datatype row = MPI_DATATYPE_NULL;
  LCSC_MPI_CHECK(MPI_Type_contiguous(CountOf(rows.row_size), MPI_FLOAT, &row));
  LCSC_MPI_CHECK(MPI_Type_commit(&row));
  MPI_Request request = MPI_REQUEST_NULL;
  LCSC_MPI_CHECK(MPI_Igatherv(own.data(), CountOf(own_rows), row, whole.data(), counts.data(), offsets.data(), row, 0,
                              group_, &request));
  WaitPolitely(&request);
  LCSC_MPI_CHECK(MPI_Type_free(&row));
}

void MpiCollective::ReduceToLeader(std::span<double> values) {
  CollectiveFaultPoint("collective.reduce");
  MPI_Request request = MPI_REQUEST_NULL;
  const int count = CountOf(static_cast<std::int64_t>(values.size()));
  const void* send = IsLeader() ? MPI_IN_PLACE : values.data();
  void* receive = IsLeader() ? values.data() : nullptr;
  LCSC_MPI_CHECK(MPI_Ireduce(send, receive, count, MPI_DOUBLE, MPI_SUM, 0, group_, &request));
  WaitPolitely(&request);
}

// Into memory of its own and back: the sums of a part would overwrite terms of another.
void MpiCollective::ReduceScatter(std::span<double> whole, std::span<const Part> parts) {
  CollectiveFaultPoint("collective.reduce_scatter");
  LCSC_CHECK(static_cast<int>(parts.size()) == group_size_);
  std::vector<int> counts;
  for (const Part& part : parts) counts.push_back(CountOf(part.size()));
  const Part& own = parts[static_cast<std::size_t>(group_rank_)];
  std::vector<double> sums(static_cast<std::size_t>(own.size()));
  MPI_Request request = MPI_REQUEST_NULL;
  LCSC_MPI_CHECK(MPI_Ireduce_scatter(whole.data(), sums.data(), counts.data(), MPI_DOUBLE, MPI_SUM, group_, &request));
  WaitPolitely(&request);
  std::ranges::copy(sums, whole.begin() + own.begin);
}

// In pieces that MPI can count.
void MpiCollective::BroadcastBytes(void* data, std::size_t size) {
  constexpr std::size_t kPiece = std::size_t{1} << 30;
  for (std::size_t done = 0; done < size; done += kPiece) {
    MPI_Request request = MPI_REQUEST_NULL;
    const auto count = static_cast<int>(std::min(kPiece, size - done));
    LCSC_MPI_CHECK(MPI_Ibcast(static_cast<std::byte*>(data) + done, count, MPI_BYTE, 0, group_, &request));
    WaitPolitely(&request);
  }
}

void MpiCollective::BroadcastFromLeader(std::vector<std::byte>& bytes) {
  CollectiveFaultPoint("collective.broadcast");
  std::uint64_t size = bytes.size();
  BroadcastBytes(&size, sizeof size);
  bytes.resize(size);
  if (size > 0) BroadcastBytes(bytes.data(), size);
}

}  // namespace lcsc
