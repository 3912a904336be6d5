#include "kv/flights.h"

#include <algorithm>

namespace carrel {

namespace {

constexpr std::uint64_t kRepair = UINT64_MAX;

}  // namespace

Flights::Flights(GroupReader& reader, KvShape shape, KvCodec codec, std::uint32_t capacityGroups, std::byte* staging,
                 std::uint32_t slots)
    : reader_(reader),
      shape_(shape),
      groupBytes_(shape.groupBytes(codec)),
      capacity_(capacityGroups),
      staging_(staging),
      idOf_(shape.rows() * capacityGroups),
      busy_(slots) {}

std::uint64_t Flights::bytes(KvShape shape, std::uint32_t capacityGroups, std::uint64_t slots) {
    return shape.rows() * capacityGroups * sizeof(std::uint32_t) + slots * (1 + sizeof(Flight));
}

const std::byte* Flights::payload(std::uint32_t layer, std::uint32_t head, std::uint32_t group) const {
    const Flight& flight = flights_[idOf(layer, head, group) - 1];
    return staging_ + (flight.slot + group - flight.first) * groupBytes_;
}

// The first free stretch that holds `count`, or else the longest.
std::uint32_t Flights::room(std::uint32_t count, std::uint32_t& slot) const {
    std::uint32_t best = 0, length = 0;
    for (std::uint32_t i = 0; i < busy_.size() && best < count; ++i) {
        length = busy_[i] != 0 ? 0 : length + 1;
        if (length > best) {
            best = length;
            slot = i + 1 - length;
        }
    }
    return best;
}

std::uint32_t Flights::submit(std::uint32_t layer, std::uint32_t head, std::uint32_t first, std::uint32_t count,
                              bool guess) {
    std::uint32_t taken = 0;
    while (taken < count) {
        std::uint32_t want = count - taken;
        if (guess) want = std::min(want, static_cast<std::uint32_t>(busy_.size() / 2) - guessed_);
        std::uint32_t slot = 0;
        const std::uint32_t got = room(want, slot);
        if (got == 0) break;
        std::size_t id = 0;
        while (id < flights_.size() && flights_[id].open) ++id;
        if (id == flights_.size()) flights_.emplace_back();
        flights_[id] = {layer, head, first + taken, got, slot, true, guess, false, false};
        mark(flights_[id], static_cast<std::uint32_t>(id + 1));
        if (guess) guessed_ += got;
        ++underWay_;
        reader_.submit(id, layer, head, first + taken, got,
                       {staging_ + slot * groupBytes_, std::size_t{got} * groupBytes_});
        taken += got;
    }
    return taken;
}

void Flights::mark(const Flight& flight, std::uint32_t id) {
    std::fill_n(busy_.begin() + flight.slot, flight.count, id != 0 ? 1 : 0);
    const std::size_t row = std::size_t{flight.layer} * shape_.kvHeads + flight.head;
    std::fill_n(idOf_.begin() + static_cast<std::ptrdiff_t>(row * capacity_ + flight.first), flight.count, id);
}

void Flights::release(Flight& flight) {
    mark(flight, 0);
    if (flight.guess) guessed_ -= flight.count;
    flight.open = false;
}

void Flights::release(std::uint32_t layer) {
    for (Flight& flight : flights_)
        if (flight.open && flight.done && flight.layer == layer) release(flight);
}

void Flights::reap(std::size_t atLeast) {
    for (const GroupReader::Done& done : reader_.reap(atLeast)) {
        if (done.tag == kRepair) {
            repaired_ = true;
            repairGood_ = done.good;
            continue;
        }
        flights_[done.tag].done = true;
        flights_[done.tag].good = done.good;
        --underWay_;
    }
}

void Flights::wait(const Flight& flight) {
    while (!flight.done) reap(1);
}

void Flights::dropOne() {
    const auto flight = std::ranges::find_if(flights_, [](const Flight& each) { return each.open; });
    if (flight == flights_.end()) return;
    wait(*flight);
    release(*flight);
}

std::uint32_t Flights::repair(Flight& flight) {
    for (std::uint32_t i = 0; i < flight.count; ++i) {
        repaired_ = false;
        reader_.submit(kRepair, flight.layer, flight.head, flight.first + i, 1,
                       {staging_ + (flight.slot + i) * groupBytes_, groupBytes_});
        while (!repaired_) reap(1);
        if (!repairGood_) return i;
    }
    flight.good = true;
    return flight.count;
}

void Flights::drain() {
    while (underWay_ > 0) reap(1);
    for (Flight& flight : flights_)
        if (flight.open) release(flight);
}

}  // namespace carrel
