#include "lcsc/comm/heartbeat.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "byte_stream.h"
#include "lcsc/base/error.h"
#include "lcsc/base/log.h"
#include "lcsc/base/process.h"
#include "lcsc/comm/message.h"

namespace lcsc {
namespace {

constexpr int kMaster = 0;

}  // namespace

Heartbeat OwnHeartbeat() {
  const Activity activity = OldestActivity();
  return {.host = HostName(),
          .pid = ::getpid(),
          .candidate_id = activity.candidate_id,
          .stage = activity.stage,
          .stage_seconds = activity.seconds,
          .steps = StageSteps()};
}

std::vector<std::byte> PackHeartbeat(const Heartbeat& heartbeat) {
  ByteWriter writer;
  writer.PutText(heartbeat.host);
  writer.Put(heartbeat.pid);
  writer.Put(heartbeat.candidate_id);
  writer.PutText(heartbeat.stage);
  writer.Put(heartbeat.stage_seconds);
  writer.Put(heartbeat.steps);
  return writer.Take();
}

Heartbeat UnpackHeartbeat(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  Heartbeat heartbeat;
  heartbeat.host = reader.GetText();
  heartbeat.pid = reader.Get<std::int64_t>();
  heartbeat.candidate_id = reader.Get<std::int64_t>();
  heartbeat.stage = reader.GetText();
  heartbeat.stage_seconds = reader.Get<double>();
  heartbeat.steps = reader.Get<std::uint64_t>();
  return heartbeat;
}

double HeartbeatInterval(int world_size) {
  constexpr double kRanksPerSecond = 500;
  return std::max(1.0, world_size / kRanksPerSecond);
}

HeartbeatSender::HeartbeatSender(double interval_s) : interval_s_(interval_s), thread_([this] { Send(); }) {}

HeartbeatSender::~HeartbeatSender() {
  {
    const std::lock_guard lock(mutex_);
    is_ended_ = true;
  }
  ended_.notify_all();
  thread_.join();
}

bool HeartbeatSender::WaitForEnd() {
  std::unique_lock lock(mutex_);
  return ended_.wait_for(lock, std::chrono::duration<double>(interval_s_), [&] { return is_ended_; });
}

void HeartbeatSender::Send() {
  try {
    Mailbox mailbox;
    do {
      mailbox.Send(kMaster, MessageTag::kHeartbeat, PackHeartbeat(OwnHeartbeat()));
    } while (!WaitForEnd());
    mailbox.Flush();
  } catch (const CommError& error) {
    spdlog::warn("no more heartbeats from this rank: {}", error.what());
  }
}

}  // namespace lcsc
