// How many threads the arithmetic of this process uses.
#pragma once

namespace lcsc {

// Sets LibTorch's intra-op threads and, where its BLAS is OpenBLAS, that library's threads too. threads >= 1.
void SetArithmeticThreads(int threads);

}  // namespace lcsc
