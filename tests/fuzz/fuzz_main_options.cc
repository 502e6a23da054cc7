// What the sanitizers must know of this program, so that it needs no environment.
#include <ATen/Parallel.h>

#include <cstdint>

// LibTorch is not instrumented: vectors that it fills look to the sanitizer as if they were beyond their ends.
extern "C" const char* __asan_default_options() {
  return "detect_container_overflow=0:allocator_may_return_null=0:detect_leaks=1";
}

extern "C" const char* __ubsan_default_options() { return "print_stacktrace=1:halt_on_error=1"; }

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  at::set_num_threads(1);
  return 0;
}
