# LibTorch is found through CMAKE_PREFIX_PATH: Debian's 1.13 without it, the wheel's 2.x with it.
# A LibTorch with CUDA asks the machine for its GPUs unless told: A100, H100 and H200, B200.
if(NOT DEFINED ENV{TORCH_CUDA_ARCH_LIST} AND NOT DEFINED TORCH_CUDA_ARCH_LIST)
  set(TORCH_CUDA_ARCH_LIST "8.0;9.0;10.0")
endif()
if(LCSC_WITH_CUDA)
  include(cmake/cuda_language.cmake)
endif()
find_package(Torch REQUIRED)
if(LCSC_WITH_CUDA)
  include(cmake/cuda_dependencies.cmake)
endif()
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(MPI REQUIRED COMPONENTS CXX)
find_package(HDF5 REQUIRED COMPONENTS C)
find_package(Boost REQUIRED COMPONENTS program_options)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(PNG REQUIRED)
find_package(ZLIB REQUIRED)
find_package(pagmo REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(AGG REQUIRED IMPORTED_TARGET libagg)
pkg_check_modules(LIBZIP REQUIRED IMPORTED_TARGET libzip)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)

# One target for each dependency that has none of its own.
# LibTorch 2.x brings headers of an fmt of its own; ours must be those that spdlog was built with, so they come first.
find_path(LCSC_FMT_FOLDER fmt/format.h NO_CMAKE_PATH NO_CMAKE_ENVIRONMENT_PATH REQUIRED)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/fmt-first)
file(CREATE_LINK ${LCSC_FMT_FOLDER}/fmt ${CMAKE_BINARY_DIR}/fmt-first/fmt SYMBOLIC)

add_library(lcsc_torch INTERFACE)
target_include_directories(lcsc_torch SYSTEM INTERFACE ${CMAKE_BINARY_DIR}/fmt-first ${TORCH_INCLUDE_DIRS})
# at::parallel_for stands in headers and is serial without OpenMP.
target_link_libraries(lcsc_torch INTERFACE ${TORCH_LIBRARIES} OpenMP::OpenMP_CXX)
separate_arguments(LCSC_TORCH_FLAGS NATIVE_COMMAND "${TORCH_CXX_FLAGS}")
target_compile_options(lcsc_torch INTERFACE ${LCSC_TORCH_FLAGS})

add_library(lcsc_hdf5 INTERFACE)
target_include_directories(lcsc_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
target_link_libraries(lcsc_hdf5 INTERFACE ${HDF5_C_LIBRARIES})
target_compile_definitions(lcsc_hdf5 INTERFACE ${HDF5_C_DEFINITIONS})
