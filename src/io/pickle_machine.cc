#include "pickle_machine.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

constexpr std::size_t kMaxValues = std::size_t{1} << 22;
constexpr int kNewestProtocol = 5;

// A name out of a file, fit for a message.
std::string Printable(std::string text) {
  constexpr std::size_t kMaxLength = 120;
  if (text.size() > kMaxLength) text.replace(kMaxLength, std::string::npos, "...");
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return text;
}

}  // namespace

PickleTree PickleMachine::Run() {
  for (;;) {
    opcode_at_ = cursor_;
    const auto opcode = TakeNumber<unsigned char>();
    if (opcode == '.') break;
    if (ExecuteNumber(opcode) || ExecuteText(opcode) || ExecuteContainer(opcode) || ExecuteStack(opcode) ||
        ExecuteMemo(opcode) || ExecuteObject(opcode)) {
      continue;
    }
    Refuse(fmt::format("opcode 0x{:02x} is none that a state dict needs", opcode));
  }
  tree_.root = Pop();
  tree_.num_bytes = cursor_;
  return std::move(tree_);
}

bool PickleMachine::ExecuteStack(unsigned char opcode) {
  switch (opcode) {
    case 0x80:  // PROTO
      if (const int protocol = TakeNumber<unsigned char>(); protocol > kNewestProtocol) {
        Refuse(fmt::format("expected a pickle of protocol {} at most, found {}", kNewestProtocol, protocol));
      }
      return true;
    case 0x95:  // FRAME: a hint for readers of streams
      TakeNumber<std::uint64_t>();
      return true;
    case '(':
      marks_.push_back(stack_.size());
      return true;
    case '0':  // POP
      if (!marks_.empty() && marks_.back() == stack_.size()) {
        marks_.pop_back();
      } else {
        Pop();
      }
      return true;
    case '1':  // POP_MARK
      PopToMark();
      return true;
    case '2':  // DUP
      stack_.push_back(Top());
      return true;
    default:
      return false;
  }
}

bool PickleMachine::ExecuteMemo(unsigned char opcode) {
  switch (opcode) {
    case 'q':
      Put(TakeNumber<std::uint8_t>());
      return true;
    case 'r':
      Put(TakeNumber<std::uint32_t>());
      return true;
    case 0x94:  // MEMOIZE
      Put(memo_.size());
      return true;
    case 'h':
      Get(TakeNumber<std::uint8_t>());
      return true;
    case 'j':
      Get(TakeNumber<std::uint32_t>());
      return true;
    default:
      return false;
  }
}

void PickleMachine::Put(std::uint64_t index) { memo_[index] = Top(); }

void PickleMachine::Get(std::uint64_t index) {
  const auto found = memo_.find(index);
  if (found == memo_.end()) Refuse(fmt::format("it recalls value {}, which it never kept", index));
  stack_.push_back(found->second);
}

bool PickleMachine::ExecuteObject(unsigned char opcode) {
  switch (opcode) {
    case 'c': {  // GLOBAL
      const std::string module = TakeLine();
      PushGlobal(module, TakeLine());
      return true;
    }
    case 0x93: {  // STACK_GLOBAL
      const PickleId name = Pop(), module = Pop();
      const auto* const name_text = tree_.As<std::string>(name);
      const auto* const module_text = tree_.As<std::string>(module);
      if (name_text == nullptr || module_text == nullptr) Refuse("a global's name is no text");
      PushGlobal(std::string(*module_text), std::string(*name_text));
      return true;
    }
    case 'i': {  // INST: nothing that this reader keeps is made so, but the refusal names the class
      const std::string module = TakeLine();
      PushGlobal(module, TakeLine());
      return false;
    }
    case 'R':     // REDUCE
    case 0x81: {  // NEWOBJ
      const PickleId arguments = Pop();
      Call(Pop(), arguments);
      return true;
    }
    case 'b':
      Build(Pop());
      return true;
    case 'Q':  // BINPERSID
      Push(PicklePersistentId{Pop()});
      return true;
    default:
      return false;
  }
}

void PickleMachine::PushGlobal(const std::string& module, const std::string& name) {
  const AllowedGlobal* const global = FindAllowedGlobal(module, name);
  if (global == nullptr) {
    throw InputError(
        "{}: refused, for its pickle asks for \"{}.{}\", which no state dict needs; nothing of it was executed. Save "
        "model.state_dict() instead, or convert the file with launch/convert_pickle.py where the code that wrote it "
        "runs",
        input_.where, Printable(ModernModule(module)), Printable(name));
  }
  Push(PickleGlobal{global->name});
}

void PickleMachine::Call(PickleId callable, PickleId arguments) {
  const auto* const global = tree_.As<PickleGlobal>(callable);
  const auto* const list = tree_.As<PickleSequence>(arguments);
  if (global == nullptr) Refuse("it calls something that is no global");
  if (list == nullptr) Refuse(fmt::format("it calls {} with arguments that are no tuple", global->name));
  const std::size_t dot = global->name.rfind('.');
  const AllowedGlobal* const allowed =
      FindAllowedGlobal(std::string(global->name.substr(0, dot)), std::string(global->name.substr(dot + 1)));
  LCSC_CHECK(allowed != nullptr);
  switch (allowed->role) {
    case GlobalRole::kCall:
      Push(PickleCall{allowed->name, arguments});
      return;
    case GlobalRole::kDict:
      Push(DictOf(arguments));
      return;
    case GlobalRole::kNamespace:
      Push(PickleDict{{}, /*is_namespace=*/true});
      return;
    case GlobalRole::kReconstructor: {
      const auto* const made = list->items.empty() ? nullptr : tree_.As<PickleGlobal>(list->items[0]);
      const bool is_namespace = made != nullptr && made->name == "argparse.Namespace";
      Push(is_namespace ? PickleValue(PickleDict{{}, true}) : PickleValue(PickleOpaque{}));
      return;
    }
    case GlobalRole::kInert:
      Refuse(fmt::format("it calls {}, which no state dict does", allowed->name));
  }
}

// dict(*arguments): items of dicts and of lists of pairs; a defaultdict's factory is passed over.
PickleDict PickleMachine::DictOf(PickleId arguments) {
  PickleDict made;
  for (const PickleId argument : tree_.As<PickleSequence>(arguments)->items) {
    if (const auto* const dict = tree_.As<PickleDict>(argument)) {
      CountCopies(dict->items.size());
      made.items.insert(made.items.end(), dict->items.begin(), dict->items.end());
    } else if (const auto* const list = tree_.As<PickleSequence>(argument)) {
      CountCopies(list->items.size());
      for (const PickleId item : list->items) {
        const auto* const pair = tree_.As<PickleSequence>(item);
        if (pair == nullptr || pair->items.size() != 2) Refuse("a dict is made of something that is no pair");
        made.items.emplace_back(pair->items[0], pair->items[1]);
      }
    }
  }
  return made;
}

// A few bytes can ask for a copy of everything so far: together, copies are bounded like values are.
void PickleMachine::CountCopies(std::size_t count) {
  num_copies_ += count;
  if (num_copies_ > kMaxValues) Refuse(fmt::format("it copies more than {} values", kMaxValues));
}

// Attributes. Only a Namespace's mean something here: an OrderedDict's are a module's version numbers.
void PickleMachine::Build(PickleId state) {
  auto* const target = std::get_if<PickleDict>(&tree_.values[Top()]);
  const auto* const attributes = tree_.As<PickleDict>(state);
  if (target == nullptr || !target->is_namespace || attributes == nullptr || target == attributes) return;
  CountCopies(attributes->items.size());
  target->items.insert(target->items.end(), attributes->items.begin(), attributes->items.end());
}

std::string_view PickleMachine::Take(std::uint64_t count) {
  const std::size_t left = input_.bytes.size() - cursor_;
  if (count > left) Refuse(fmt::format("it is cut off: {} bytes expected, {} left", count, left));
  const std::string_view taken = input_.bytes.substr(cursor_, count);
  cursor_ += count;
  return taken;
}

template <typename Number>
Number PickleMachine::TakeNumber() {
  static_assert(std::endian::native == std::endian::little);
  Number number;
  std::memcpy(&number, Take(sizeof number).data(), sizeof number);
  return number;
}
template std::uint8_t PickleMachine::TakeNumber();
template std::uint16_t PickleMachine::TakeNumber();
template std::uint32_t PickleMachine::TakeNumber();
template std::uint64_t PickleMachine::TakeNumber();
template std::int32_t PickleMachine::TakeNumber();

std::string PickleMachine::TakeLine() {
  const std::size_t end = input_.bytes.find('\n', cursor_);
  if (end == std::string_view::npos) Refuse("it is cut off in a line of text");
  std::string line(Take(end - cursor_));
  Take(1);
  return line;
}

PickleId PickleMachine::Push(PickleValue value) {
  if (tree_.values.size() >= kMaxValues) Refuse(fmt::format("it holds more than {} values", kMaxValues));
  tree_.values.push_back(std::move(value));
  stack_.push_back(static_cast<PickleId>(tree_.values.size() - 1));
  return stack_.back();
}

PickleId PickleMachine::Top() const {
  const std::size_t floor = marks_.empty() ? 0 : marks_.back();
  if (stack_.size() <= floor) Refuse("it takes a value from an empty stack");
  return stack_.back();
}

PickleId PickleMachine::Pop() {
  const PickleId top = Top();
  stack_.pop_back();
  return top;
}

std::vector<PickleId> PickleMachine::PopSome(std::size_t count) {
  std::vector<PickleId> items(count);
  for (std::size_t i = count; i > 0; --i) items[i - 1] = Pop();
  return items;
}

std::vector<PickleId> PickleMachine::PopToMark() {
  if (marks_.empty()) Refuse("it takes values down to a mark that was never set");
  std::vector<PickleId> items = PopSome(stack_.size() - marks_.back());
  marks_.pop_back();
  return items;
}

void PickleMachine::Refuse(const std::string& reason) const {
  throw InputError("{}: not a sound pickle: at byte {}: {}; save or copy the file again", input_.where, opcode_at_,
                   reason);
}

PickleTree ReadPickle(const PickleInput& input) { return PickleMachine(input).Run(); }

}  // namespace lcsc
