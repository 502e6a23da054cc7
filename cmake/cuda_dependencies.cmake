# What only the preset cuda needs, behind LibTorch.
set(LCSC_TORCH_ADVICE "launch/check-cuda-build fetches one, or give your own with "
  "-DCMAKE_PREFIX_PATH=\"$(python3 -c 'import os, torch; print(os.path.dirname(torch.__file__))')\"")
list(JOIN LCSC_TORCH_ADVICE "" LCSC_TORCH_ADVICE)
if(NOT TORCH_CUDA_LIBRARIES)
  message(FATAL_ERROR "LCSC_WITH_CUDA needs a LibTorch with CUDA, found ${TORCH_INSTALL_PREFIX} without; ${LCSC_TORCH_ADVICE}")
endif()
# LibTorch looks for its libraries in the system's folders first, where another LibTorch may lie, unless its own folder
# is a prefix.
get_filename_component(LCSC_C10_FOLDER "${c10_LIBRARY}" DIRECTORY)
get_filename_component(LCSC_TORCH_FOLDER "${TORCH_INSTALL_PREFIX}/lib" REALPATH)
get_filename_component(LCSC_C10_FOLDER "${LCSC_C10_FOLDER}" REALPATH)
if(NOT LCSC_C10_FOLDER STREQUAL LCSC_TORCH_FOLDER)
  message(FATAL_ERROR "two LibTorches: headers of ${TORCH_INSTALL_PREFIX}, but ${c10_LIBRARY}; remove the build folder; "
    "${LCSC_TORCH_ADVICE}")
endif()
find_package(CUDAToolkit REQUIRED)

# NCCL lies in the toolkit, or where the system keeps it.
find_path(LCSC_NCCL_INCLUDE nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS} REQUIRED)
find_library(LCSC_NCCL_LIBRARY nccl HINTS ${CUDAToolkit_LIBRARY_DIR} ${CUDAToolkit_LIBRARY_ROOT}/lib REQUIRED)
add_library(lcsc_nccl INTERFACE)
target_include_directories(lcsc_nccl SYSTEM INTERFACE ${LCSC_NCCL_INCLUDE})
target_link_libraries(lcsc_nccl INTERFACE ${LCSC_NCCL_LIBRARY} CUDA::cudart)
message(STATUS "NCCL: ${LCSC_NCCL_LIBRARY}")

# The wheel's libtorch.so exports pieces of an older libstdc++ that were linked into it, std::filesystem::remove_all
# among them, and they crash when our calls end there: the system's libstdc++ must be looked up first.
link_libraries(stdc++)
