// Whether a reference file and an extractor belong together.
#pragma once

#include <string>

#include "lcsc/config/evaluation_options.h"

namespace lcsc {

// Throws InputError when evaluation.reference says that it was made with another protocol or another extractor than
// evaluation's, unless evaluation.reference_mismatch is "allow". A reference that says nothing is accepted.
void CheckReferenceOrigin(const EvaluationOptions& options);

// What is taken for granted of a reference that does not say how it was made, or that was allowed although it does not
// belong: one sentence for the user, "" when nothing is. Throws InputError when the file cannot be read.
std::string ReferenceAssumption(const EvaluationOptions& options);

}  // namespace lcsc
