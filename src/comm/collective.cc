#include "lcsc/comm/collective.h"

#include <limits>

#include "lcsc/base/error.h"
#include "lcsc/comm/mpi_session.h"

namespace lcsc {
namespace {

int CountOf(std::int64_t size) {
  LCSC_CHECK(size <= std::numeric_limits<int>::max());
  return static_cast<int>(size);
}

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

void MpiCollective::AllGather(std::span<float> whole, std::span<const Part> parts) {
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

void MpiCollective::ReduceToLeader(std::span<double> values) {
  MPI_Request request = MPI_REQUEST_NULL;
  const int count = CountOf(static_cast<std::int64_t>(values.size()));
  const void* send = IsLeader() ? MPI_IN_PLACE : values.data();
  void* receive = IsLeader() ? values.data() : nullptr;
  LCSC_MPI_CHECK(MPI_Ireduce(send, receive, count, MPI_DOUBLE, MPI_SUM, 0, group_, &request));
  WaitPolitely(&request);
}

void MpiCollective::BroadcastBytes(void* data, std::size_t size) {
  MPI_Request request = MPI_REQUEST_NULL;
  LCSC_MPI_CHECK(MPI_Ibcast(data, CountOf(static_cast<std::int64_t>(size)), MPI_BYTE, 0, group_, &request));
  WaitPolitely(&request);
}

void MpiCollective::BroadcastFromLeader(std::vector<std::byte>& bytes) {
  std::uint64_t size = bytes.size();
  BroadcastBytes(&size, sizeof size);
  bytes.resize(size);
  if (size > 0) BroadcastBytes(bytes.data(), size);
}

}  // namespace lcsc
