#pragma once

#include <map>
#include <mutex>
#include <string>

namespace carrel::app {

/// Passwords of encrypted documents, for as long as the program runs. Never written anywhere. Any thread.
class Passwords {
  public:
    std::string of(const std::string& document) const {
        const std::lock_guard lock(mutex_);
        const auto found = byDocument_.find(document);
        return found == byDocument_.end() ? std::string() : found->second;
    }
    void set(const std::string& document, const std::string& password) {
        const std::lock_guard lock(mutex_);
        byDocument_[document] = password;
    }
    void drop(const std::string& document) {
        const std::lock_guard lock(mutex_);
        byDocument_.erase(document);
    }

  private:
    mutable std::mutex mutex_;
    std::map<std::string, std::string> byDocument_;
};

}  // namespace carrel::app
