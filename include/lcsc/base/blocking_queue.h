// Hands things from one thread to another.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace lcsc {

// First in, first out. Push waits while the queue is full, Pop while it is empty; neither waits once it is closed.
template <typename T>
class BlockingQueue {
 public:
  explicit BlockingQueue(std::size_t capacity) : capacity_(capacity) {}

  // False, and the thing is dropped, once the queue is closed.
  bool Push(T thing) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || things_.size() < capacity_; });
    if (closed_) return false;
    things_.push_back(std::move(thing));
    changed_.notify_all();
    return true;
  }

  // nullopt once the queue is closed and empty.
  std::optional<T> Pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || !things_.empty(); });
    return TakeFirst();
  }
  // nullopt also when nothing came in time.
  std::optional<T> PopWithin(std::chrono::duration<double> timeout) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, timeout, [&] { return closed_ || !things_.empty(); });
    return TakeFirst();
  }
  // nullopt when nothing is there now.
  std::optional<T> TryPop() {
    const std::lock_guard lock(mutex_);
    return TakeFirst();
  }

  // What is in the queue can still be popped.
  void Close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  std::optional<T> TakeFirst() {
    if (things_.empty()) return std::nullopt;
    std::optional<T> first(std::move(things_.front()));
    things_.pop_front();
    changed_.notify_all();
    return first;
  }

  const std::size_t capacity_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> things_;
  bool closed_ = false;
};

}  // namespace lcsc
