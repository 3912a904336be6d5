#pragma once

#include <cstdint>
#include <vector>

#include "store/reading_store.h"

namespace carrel {

/// Groups on their way from disk into staging, and there until they are taken. index = row * groups + group.
class Flights {
  public:
    struct Flight {
        std::uint32_t layer = 0, head = 0, first = 0, count = 0;  // groups
        std::uint32_t slot = 0;
        bool open = false, guess = false, done = false, good = false;
    };
    /// staging: of `slots` groups. Both outlive this.
    Flights(GroupReader& reader, KvShape shape, KvCodec codec, std::uint32_t capacityGroups, std::byte* staging,
            std::uint32_t slots);
    ~Flights() { drain(); }
    Flights(const Flights&) = delete;
    Flights& operator=(const Flights&) = delete;
    static std::uint64_t bytes(KvShape shape, std::uint32_t capacityGroups, std::uint64_t slots);

    bool has(std::uint32_t layer, std::uint32_t head, std::uint32_t group) const {
        return idOf(layer, head, group) != 0;
    }
    Flight& of(std::uint32_t layer, std::uint32_t head, std::uint32_t group) {
        return flights_[idOf(layer, head, group) - 1];
    }
    const std::byte* payload(std::uint32_t layer, std::uint32_t head, std::uint32_t group) const;

    /// A guess that turned out to be needed.
    void need(Flight& flight) {
        if (flight.guess) guessed_ -= flight.count;
        flight.guess = false;
    }
    /// Starts reading groups, none of which is on its way; gives how many found room, from the first on. Guesses leave
    /// half of staging to what is needed.
    std::uint32_t submit(std::uint32_t layer, std::uint32_t head, std::uint32_t first, std::uint32_t count, bool guess);
    void poll() { reap(0); }
    /// Blocks until the flight is done.
    void wait(const Flight& flight);
    /// Waits for any flight and forgets it, for its staging.
    void dropOne();
    /// Reads a failed flight again, group by group. The group that cannot be had, or count.
    std::uint32_t repair(Flight& flight);
    bool arrived(std::uint32_t layer, std::uint32_t head, std::uint32_t group) {
        if (!has(layer, head, group)) return false;
        const Flight& flight = of(layer, head, group);
        return flight.done && flight.good;
    }
    /// call(flight) for what has arrived of a layer.
    template <class Call>
    void eachArrived(std::uint32_t layer, Call&& call) const {
        for (const Flight& flight : flights_)
            if (flight.open && flight.done && flight.good && flight.layer == layer) call(flight);
    }
    /// Forgets what is done of a layer.
    void release(std::uint32_t layer);
    /// Waits for everything and forgets it.
    void drain();

  private:
    std::uint32_t idOf(std::uint32_t layer, std::uint32_t head, std::uint32_t group) const {
        return idOf_[(std::size_t{layer} * shape_.kvHeads + head) * capacity_ + group];
    }
    void mark(const Flight& flight, std::uint32_t id);
    void release(Flight& flight);
    void reap(std::size_t atLeast);
    std::uint32_t room(std::uint32_t count, std::uint32_t& slot) const;

    GroupReader& reader_;
    KvShape shape_;
    std::size_t groupBytes_;
    std::uint32_t capacity_;
    std::byte* staging_;
    std::uint32_t guessed_ = 0, underWay_ = 0;
    bool repaired_ = false, repairGood_ = false;
    std::vector<std::uint32_t> idOf_;  // flight + 1 of each group
    std::vector<std::uint8_t> busy_;   // per slot of staging
    std::vector<Flight> flights_;
};

}  // namespace carrel
