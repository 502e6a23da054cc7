#include "lcsc/model/threads.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>

namespace lcsc {

void SetArithmeticThreads(int threads) {
  at::set_num_threads(threads);
  // LibTorch reaches its BLAS through the system's alternatives and knows no call of OpenBLAS's own.
  if (void* symbol = dlsym(RTLD_DEFAULT, "openblas_set_num_threads")) {
    reinterpret_cast<void (*)(int)>(symbol)(threads);
  }
}

void AdoptArithmeticThreads() { at::get_num_threads(); }  // asks for it, and so sets it

}  // namespace lcsc
