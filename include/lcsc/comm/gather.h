// Small facts from every rank to every rank.
#pragma once

#include <string>
#include <vector>

#include "lcsc/comm/mpi_session.h"

namespace lcsc {

// Every rank's text, by world rank, on every rank. Collective over all ranks. Throws CommError; together the texts must
// stay below 2 GiB.
std::vector<std::string> GatherTexts(const World& world, const std::string& text);

}  // namespace lcsc
