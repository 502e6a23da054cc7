# What only the preset cuda needs, behind LibTorch.
if(NOT TORCH_CUDA_LIBRARIES)
  message(FATAL_ERROR "LCSC_WITH_CUDA needs a LibTorch with CUDA, found ${TORCH_INSTALL_PREFIX} without; "
    "launch/check-cuda-build fetches one, or give your own with -DCMAKE_PREFIX_PATH=\"$(python3 -c 'import torch; "
    "print(torch.utils.cmake_prefix_path)')\"")
endif()
find_package(CUDAToolkit REQUIRED)

# NCCL lies in the toolkit, or where the system keeps it.
find_path(LCSC_NCCL_INCLUDE nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS} REQUIRED)
find_library(LCSC_NCCL_LIBRARY nccl HINTS ${CUDAToolkit_LIBRARY_DIR} ${CUDAToolkit_LIBRARY_ROOT}/lib REQUIRED)
add_library(lcsc_nccl INTERFACE)
target_include_directories(lcsc_nccl SYSTEM INTERFACE ${LCSC_NCCL_INCLUDE})
target_link_libraries(lcsc_nccl INTERFACE ${LCSC_NCCL_LIBRARY} CUDA::cudart)
message(STATUS "NCCL: ${LCSC_NCCL_LIBRARY}")
