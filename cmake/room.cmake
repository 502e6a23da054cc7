# lcsc_room(NAME TORCH? SOURCES ... LINK ... PRIVATE_LINK ...): one static library per room, with the alias lcsc::NAME.
# With LCSC_UNITY eight of its sources are compiled together, so that what is in their unnamed namespaces needs names of its own.
# TORCH: the room's sources see LibTorch and share its precompiled header.
function(lcsc_room name)
  cmake_parse_arguments(ROOM "TORCH" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(lcsc_${name} STATIC ${ROOM_SOURCES})
  add_library(lcsc::${name} ALIAS lcsc_${name})
  target_include_directories(lcsc_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(lcsc_${name} PUBLIC ${ROOM_LINK} PRIVATE lcsc_warnings ${ROOM_PRIVATE_LINK})
  if(ROOM_TORCH)
    target_link_libraries(lcsc_${name} PUBLIC lcsc_torch)
    lcsc_use_torch_pch(lcsc_${name})
  endif()
  if(LCSC_UNITY AND NOT LCSC_WITH_CUDA)
    set_target_properties(lcsc_${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  endif()
endfunction()

# Shares one precompiled LibTorch header between targets: 1 s a file instead of 6.
function(lcsc_use_torch_pch target)
  target_link_libraries(${target} PRIVATE lcsc_torch)
  target_precompile_headers(${target} REUSE_FROM lcsc_torch_pch)
endfunction()

add_library(lcsc_warnings INTERFACE)
target_compile_options(lcsc_warnings INTERFACE $<$<COMPILE_LANGUAGE:C,CXX>:-Wall;-Wextra;-Wpedantic;-Wshadow>
  $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Wshadow> $<$<AND:$<BOOL:${LCSC_WERROR}>,$<COMPILE_LANGUAGE:C,CXX>>:-Werror>)

file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/torch_pch.cc CONTENT "")
add_library(lcsc_torch_pch STATIC ${CMAKE_BINARY_DIR}/torch_pch.cc)
target_link_libraries(lcsc_torch_pch PUBLIC lcsc_torch PRIVATE lcsc_warnings)
target_precompile_headers(lcsc_torch_pch PRIVATE <ATen/ATen.h> <torch/nn/module.h> <nlohmann/json.hpp>)
target_compile_options(lcsc_torch_pch PUBLIC $<$<COMPILE_LANGUAGE:CXX>:-Winvalid-pch>)
