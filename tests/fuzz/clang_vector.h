// Included before everything else by Clang (preset fuzz). LibTorch 1.13 declares std::vector members of types that are
// completed later. Where std::vector is constexpr (C++20), Clang evaluates it too early and refuses: so here it is not.
#pragma once

#if defined(__cplusplus) && defined(__clang__)
#include <string>
#pragma push_macro("_GLIBCXX20_CONSTEXPR")
#undef _GLIBCXX20_CONSTEXPR
#define _GLIBCXX20_CONSTEXPR
// std::fill for std::vector<bool> is declared constexpr elsewhere; nobody here uses it.
#define __fill_a1 __fill_a1_of_vector_bool
#include <vector>
#undef __fill_a1
#pragma pop_macro("_GLIBCXX20_CONSTEXPR")
#endif
