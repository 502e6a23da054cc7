// The machine behind ReadPickle(): one pickle, opcode by opcode, on a stack of positions in the tree.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "lcsc/io/pickle_reader.h"
#include "pickle_globals.h"

namespace lcsc {

class PickleMachine {
 public:
  explicit PickleMachine(const PickleInput& input) : input_(input) {}
  PickleTree Run();

 private:
  // Each executes the opcode if it is one of its kind.
  bool ExecuteNumber(unsigned char opcode);
  bool ExecuteText(unsigned char opcode);
  bool ExecuteContainer(unsigned char opcode);
  bool ExecuteStack(unsigned char opcode);
  bool ExecuteMemo(unsigned char opcode);
  bool ExecuteObject(unsigned char opcode);

  // Bytes of the program.
  std::string_view Take(std::uint64_t count);
  template <typename Number>
  Number TakeNumber();  // little-endian
  std::string TakeLine();

  // The stack above the last mark.
  PickleId Push(PickleValue value);
  PickleId Pop();
  PickleId Top() const;
  std::vector<PickleId> PopToMark();
  std::vector<PickleId> PopSome(std::size_t count);

  void PushIntegerLine(bool is_long);
  void PushLong(std::string_view bytes);
  void PushText(std::string_view text);
  void Append(std::vector<PickleId> items);
  void SetItems(const std::vector<PickleId>& keys_and_values);
  void Put(std::uint64_t index);
  void Get(std::uint64_t index);
  void PushGlobal(const std::string& module, const std::string& name);
  void Call(PickleId callable, PickleId arguments);
  void Build(PickleId state);
  PickleDict DictOf(PickleId arguments);
  void CountCopies(std::size_t count);

  [[noreturn]] void Refuse(const std::string& reason) const;

  const PickleInput& input_;
  std::size_t cursor_ = 0, opcode_at_ = 0;
  PickleTree tree_;
  std::size_t num_copies_ = 0;
  std::vector<PickleId> stack_;
  std::vector<std::size_t> marks_;  // heights of the stack
  std::unordered_map<std::uint64_t, PickleId> memo_;
};

}  // namespace lcsc
