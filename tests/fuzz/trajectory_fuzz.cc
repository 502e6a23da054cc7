// A trajectory: its manifest, and what is read from its shard files. The first byte chooses: 1 a trajectory of LoRA
// factors, 2 a shard file and not the manifest; the others are edits (hdf5_edits.h). The manifest gets a right digest.
#include "fuzz_target.h"
#include "hdf5_edits.h"
#include "lcsc/store/inspector.h"
#include "lcsc/store/shard_reader.h"
#include "store/checkpoints.h"
#include "store/lora_checkpoints.h"

namespace lcsc {
namespace {

constexpr const char *kManifest = "manifest.h5", *kShard = "shard-00000.h5";

// A sound trajectory on the disk, of which one file at a time is another.
class Sound {
 public:
  explicit Sound(std::filesystem::path folder)
      : folder_(std::move(folder)), manifest_(ReadBytes(folder_ / kManifest)), shard_(ReadBytes(folder_ / kShard)) {}

  const std::filesystem::path& folder() const { return folder_; }
  const std::string& manifest() const { return manifest_; }
  const std::string& shard() const { return shard_; }
  void Restore() const {
    WriteBytes(folder_ / kManifest, manifest_);
    WriteBytes(folder_ / kShard, shard_);
  }

 private:
  std::filesystem::path folder_;
  std::string manifest_, shard_;
};

const Sound& Weights() {
  static CheckpointFolder checkpoints;
  static const Sound sound = [] {
    checkpoints.WriteSteps(0, 4);
    PackOptions options = checkpoints.Options();
    options.shard_elements = 9;
    options.segment_checkpoints = 2;
    Pack(options);
    return Sound(checkpoints.output());
  }();
  return sound;
}

const Sound& Factors() {
  static const LoraFolder checkpoints;
  static const Sound sound = [] {
    checkpoints.WriteCheckpoints(KohyaDialect(), 2);
    Pack(checkpoints.Options());
    return Sound(checkpoints.Options().output);
  }();
  return sound;
}

void ReadEverything(const std::filesystem::path& folder) {
  const Trajectory trajectory = ReadTrajectory(folder);
  const std::int64_t num_elements = trajectory.table.num_elements();
  Expect(num_elements >= 0 && trajectory.num_checkpoints() >= 1, "a trajectory has checkpoints");
  AllowRefusal([&] {
    const Shard shard = ReadShard(trajectory, {0, num_elements});
    Expect(shard.base.numel() == num_elements, "a shard has the elements that it was asked for");
  });
  for (std::int64_t i = 0; i < trajectory.num_checkpoints(); ++i) {
    AllowRefusal([&] { ReadCheckpoint(trajectory, i); });
  }
  AllowRefusal([&] { DescribeFile(folder); });
}

// What the manifest's digest should be, as the refusal says; "": it was refused for another reason, or not at all.
std::string RightDigest(const std::filesystem::path& folder) {
  constexpr std::string_view kBefore = "expected digest ", kFound = ", found ";
  constexpr std::size_t kDigits = 32;
  try {
    ReadTrajectory(folder);
  } catch (const InputError& error) {
    const std::string_view message = error.what();
    const std::size_t found = message.rfind(kFound);
    if (message.find(kBefore) == std::string_view::npos || found == std::string_view::npos) return "";
    return std::string(message.substr(found + kFound.size(), kDigits));
  }
  return "";
}

void PutManifest(const Sound& sound, std::string edits) {
  WriteBytes(sound.folder() / kManifest, EditHdf5(sound.manifest(), edits));
  std::string digest;
  AllowRefusal([&] { digest = RightDigest(sound.folder()); });
  if (digest.empty()) return;
  std::string correction;
  AppendTextAttribute(correction, "digest", digest);
  WriteBytes(sound.folder() / kManifest, EditHdf5(ReadBytes(sound.folder() / kManifest), correction));
}

}  // namespace
}  // namespace lcsc

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lcsc;
  if (size == 0) return 0;
  const Sound& sound = (data[0] & 1) != 0 ? Factors() : Weights();
  const std::string edits(TextOf(data + 1, size - 1));
  sound.Restore();
  if ((data[0] & 2) != 0) {
    WriteBytes(sound.folder() / kShard, EditHdf5(sound.shard(), edits));
  } else {
    PutManifest(sound, edits);
  }
  return AllowRefusal([&] { ReadEverything(sound.folder()); });
}
