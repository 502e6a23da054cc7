#include "lcsc/comm/launcher.h"

#include <mpi.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <string_view>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

struct Marks {
  const char* name;
  const char* size;
  const char* number;
};

// The first that fits counts: Open MPI's own mpirun starts its daemons through srun, whose variables its ranks inherit.
constexpr std::array<Marks, 4> kLaunchers = {{
    {"Open MPI's mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},
    {"MVAPICH's mpirun", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"},
    {"a launcher that speaks PMI (MPICH's or Intel MPI's mpiexec, srun --mpi=pmi2)", "PMI_SIZE", "PMI_RANK"},
    {"srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"},
}};

std::optional<int> NumberOf(const Environment& environment, const char* variable) {
  const auto entry = environment.find(variable);
  if (entry == environment.end()) return std::nullopt;
  const std::string& text = entry->second;
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional<int>(number) : std::nullopt;
}

}  // namespace

Environment OwnEnvironment() {
  Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    if (equals != std::string_view::npos) environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

std::optional<Launcher> LauncherOf(const Environment& environment) {
  for (const Marks& marks : kLaunchers) {
    const auto size = NumberOf(environment, marks.size), number = NumberOf(environment, marks.number);
    if (size && number) return Launcher{marks.name, *size, *number};
  }
  return std::nullopt;
}

std::string LauncherMismatch(const std::optional<Launcher>& launcher, int world_size) {
  if (!launcher || launcher->size == world_size) return "";
  return fmt::format("{} started {} processes together, but MPI ({}) counts {} in this one", launcher->name,
                     launcher->size, MpiLibraryVersion(), world_size);
}

std::string MpiLibraryVersion() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  if (MPI_Get_library_version(text.data(), &length) != MPI_SUCCESS) return "unknown";
  const std::string_view version(text.data());
  return std::string(version.substr(0, version.find_first_of(",\n")));
}

std::string MpiFamily(const std::string& version_text) {
  constexpr std::array<std::pair<const char*, const char*>, 7> kWords = {{{"Open MPI", "Open MPI"},
                                                                          {"OpenRTE", "Open MPI"},
                                                                          {"PRRTE", "Open MPI"},
                                                                          {"HYDRA", "MPICH"},
                                                                          {"MPICH", "MPICH"},
                                                                          {"MVAPICH", "MPICH"},
                                                                          {"Intel(R) MPI", "MPICH"}}};
  for (const auto& [word, family] : kWords) {
    if (version_text.find(word) != std::string::npos) return family;
  }
  return "";
}

}  // namespace lcsc
