// The manifest's group "lora" (docs/trajectory.md).
#pragma once

#include "lcsc/store/hdf5.h"
#include "lcsc/store/trajectory.h"

namespace lcsc {

void WriteLora(Hdf5Group group, const LoraDescription& lora);

// Reads the group and checks it against the trajectory's tensors. Throws InputError.
LoraDescription ReadLora(const Hdf5Group& group, const TensorTable& table);

}  // namespace lcsc
