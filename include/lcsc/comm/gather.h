// Small facts from every rank to every rank.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lcsc/comm/mpi_session.h"

namespace lcsc {

// Every rank's text, by world rank, on every rank. Collective over all ranks. Throws CommError; together the texts must
// stay below 2 GiB.
std::vector<std::string> GatherTexts(const World& world, const std::string& text);

// Rank 0 calls `take` with every rank's text in turn, its own first; `take` is not called elsewhere. Only one text is
// in its memory at a time, each below 2 GiB. Collective over all ranks. Throws CommError.
void GatherTextsToMaster(const World& world, const std::string& text,
                         const std::function<void(const std::string& text)>& take);

}  // namespace lcsc
