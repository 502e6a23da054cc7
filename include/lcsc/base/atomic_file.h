// Files that appear whole or not at all: temporary file, fsync, rename, fsync of the folder.
#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

namespace lcsc {

// Calls write(temporary_path), flushes what it wrote to the disk and renames it onto `path`. When `write` or the disk
// fails, the temporary file is removed, the old `path` is untouched and the exception goes on.
// Throws IoError when the folder is missing or full.
void PublishFile(const std::filesystem::path& path, const std::function<void(const std::filesystem::path&)>& write);

// The same for content in memory.
void PublishText(const std::filesystem::path& path, std::string_view content);

// Creates the folder and its parents. Throws IoError that names the folder and the reason.
void CreateFolder(const std::filesystem::path& folder);

// Forces a file's or a folder's content to the disk. Throws IoError.
void SyncToDisk(const std::filesystem::path& path);

}  // namespace lcsc
