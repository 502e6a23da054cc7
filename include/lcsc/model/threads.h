// How many threads the arithmetic of this process uses.
#pragma once

namespace lcsc {

// Sets LibTorch's intra-op threads and, where its BLAS is OpenBLAS, that library's threads too. threads >= 1.
void SetArithmeticThreads(int threads);
// In a thread that was made after that: takes the number over, which belongs to each thread where LibTorch uses OpenMP.
void AdoptArithmeticThreads();

}  // namespace lcsc
