# nvcc for our own kernels, before LibTorch, which adds the architectures to CMAKE_CUDA_FLAGS itself.
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(LCSC_NVCC nvcc HINTS /usr/local/cuda/bin REQUIRED)
  set(CMAKE_CUDA_COMPILER ${LCSC_NVCC})
endif()
# CMake 3.25 knows no flag of nvcc for C++20, and the kernels need none.
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
enable_language(CUDA)
