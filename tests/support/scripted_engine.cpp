#include "scripted_engine.h"

#include <QCryptographicHash>
#include <QDateTime>
#include <QFileInfo>
#include <QImage>
#include <QPainter>

#include <algorithm>

namespace carrel::app {
namespace {

constexpr int kTickMs = 50;
constexpr std::uint32_t kPages = 42;
constexpr double kPagesPerTick = 0.25;
constexpr std::uint64_t kTokensPerPage = 400;
constexpr std::size_t kBytesPerTick = 6, kBytesPerToken = 4;

ReadingProgress progressAt(double pages) {
    ReadingProgress p;
    p.tokensTotal = kPages * kTokensPerPage;
    p.pagesTotal = kPages;
    p.pagesDone = static_cast<std::uint32_t>(pages);
    p.tokensDone = static_cast<std::uint64_t>(pages * kTokensPerPage);
    p.tokensPerSecond = kPagesPerTick * kTokensPerPage * 1000 / kTickMs;
    p.speed = {1 / p.tokensPerSecond, 0};
    p.etaSeconds = static_cast<double>(p.tokensTotal - p.tokensDone) / p.tokensPerSecond;
    return p;
}

QImage drawPage(std::uint32_t page, int width) {
    QImage image(width, static_cast<int>(width * 1.4142), QImage::Format_RGB32);
    image.fill(Qt::white);
    QPainter painter(&image);
    const double k = width / 595.0;
    painter.scale(k, k);
    painter.setPen(QColor(0x30, 0x30, 0x30));
    painter.drawText(QRectF(72, 60, 450, 30), QStringLiteral("Page %1 of the scripted document").arg(page));
    painter.setPen(Qt::NoPen);
    painter.setBrush(QColor(0xd8, 0xd8, 0xd8));
    for (int line = 0; line < 36; ++line) painter.drawRect(QRectF(72, 110 + 18 * line, line % 6 == 5 ? 220 : 450, 7));
    return image;
}

}  // namespace

ScriptedEngine::ScriptedEngine(Pace pace, QObject* parent) : EnginePort(parent) {
    clock_.setInterval(kTickMs);
    connect(&clock_, &QTimer::timeout, this, &ScriptedEngine::tick);
    if (pace == Pace::ByItself) clock_.start();
}

template <class T>
void ScriptedEngine::deliver(const char* call, const Reply<T>& reply, std::function<Result<T>()> value) {
    const auto failure = failures.find(call);
    const Result<T> result = failure == failures.end() ? value() : Result<T>(failure->second);
    if (!reply || shutDown) return;
    QMetaObject::invokeMethod(
        this,
        [this, reply, result] {
            if (!shutDown) reply(result);
        },
        Qt::QueuedConnection);
}

DocumentRow ScriptedEngine::document(const std::string& file) {
    const QFileInfo info(QString::fromStdString(file));
    DocumentRow row;
    row.sha256 =
        QCryptographicHash::hash(QByteArray::fromStdString(file), QCryptographicHash::Sha256).toHex().toStdString();
    row.title = info.completeBaseName().toStdString();
    row.originalPath = file;
    row.pages = info.suffix() == QLatin1String("pdf") ? kPages : 0;
    row.fileBytes = 310'000;
    row.textBytes = 60'000;
    if (row.pages > 0) row.pagesWithoutText = {4};
    row.state = DocumentState::Ready;
    return row;
}

ReadingSummary ScriptedEngine::summary(const std::string& document, std::uint32_t read, std::uint32_t total) {
    ReadingSummary s;
    s.document = document;
    s.coverage = {read, total, read * kTokensPerPage, total * kTokensPerPage};
    return s;
}

void ScriptedEngine::endReading(std::size_t which, const Result<ReadingSummary>& result) {
    emit readingEnded(reads.at(which).ticket, result);
}

void ScriptedEngine::inspectModel(const std::filesystem::path& file, Reply<ModelInfo> reply) {
    deliver<ModelInfo>("inspectModel", reply, [file, words = chatTemplate] {
        return ModelInfo{file, file.stem().string(), "qwen2", 491'400'064, 12'288, 32'768, words,
                         0,    "5c1e7a3b00c0ffee"};
    });
}

void ScriptedEngine::loadModel(const std::filesystem::path& file, Reply<ModelInfo> reply) {
    loadedModels.push_back(file.string());
    deliver<ModelInfo>("loadModel", reply, [file, words = chatTemplate] {
        return ModelInfo{file, file.stem().string(), "qwen2", 491'400'064, 12'288, 32'768, words,
                         0,    "5c1e7a3b00c0ffee"};
    });
}

void ScriptedEngine::processor(Reply<Processor> reply) {
    deliver<Processor>("processor", reply, [this] { return computes; });
}

FoundModel ScriptedEngine::model(const std::string& file, Fit fit, double tokensPerSecond) {
    const std::filesystem::path path(file);
    const ModelInfo info{path, path.stem().string(), "qwen2", 491'400'064, 12'288, 32'768, "chatml", 391'900'000};
    return {path, ModelOrigin::Downloads, path.stem().string(), info, {fit, tokensPerSecond, 950'000'000}};
}

void ScriptedEngine::findModels(std::vector<ModelPlace> places, const Machine& known, std::stop_token,
                                Reply<FoundModels> reply) {
    searches.push_back(std::move(places));
    knownMachines.push_back(known);
    if (holdModels) return heldModels.push_back(std::move(reply));
    deliver<FoundModels>("findModels", reply, [this] { return models; });
}

void ScriptedEngine::read(ReadRequest request) {
    reads.push_back(request);
    if (clock_.isActive()) readings_.push_back({request, pagesRead_[request.document]});
}

void ScriptedEngine::ask(TurnRequest request) {
    asks.push_back(request);
    if (clock_.isActive()) turns_.push_back({std::move(request)});
}

void ScriptedEngine::readingOf(const std::string& document, Reply<ReadingSummary> reply) {
    deliver<ReadingSummary>("readingOf", reply, [this, document]() -> Result<ReadingSummary> {
        const auto found = summaries.find(document);
        if (found == summaries.end()) return Error{Code::NotFound, document, {}};
        return found->second;
    });
}

void ScriptedEngine::storedReadings(Reply<std::vector<StoredReading>> reply) {
    deliver<std::vector<StoredReading>>("storedReadings", reply, [this] {
        for (const auto& [document, pages] : pagesRead_) {
            std::erase_if(stored, [&](const StoredReading& one) { return one.document == document; });
            const auto tokens = static_cast<std::uint32_t>(pages * kTokensPerPage);
            stored.push_back({document, "scripted", true, tokens, std::uint64_t{tokens} * 12'288,
                              summary(document, static_cast<std::uint32_t>(pages), kPages).coverage, pages >= kPages,
                              QDateTime::currentSecsSinceEpoch()});
        }
        return stored;
    });
}

void ScriptedEngine::forecast(const std::string&, const std::string&, Reply<ReadingForecast> reply) {
    deliver<ReadingForecast>("forecast", reply, [this] { return forecasted; });
}

void ScriptedEngine::forgetReadings(const std::string& document, Reply<void> reply) {
    forgottenReadings.push_back(document);
    pagesRead_.erase(document);
    std::erase_if(stored, [&](const StoredReading& one) { return one.document == document; });
    deliver<void>("forgetReadings", reply, [] { return Status(); });
}

void ScriptedEngine::diskUse(Reply<DiskUse> reply) {
    deliver<DiskUse>("diskUse", reply, [this] {
        return DiskUse{quotaBytes == 0 ? 18'200'000'000 : quotaBytes, 3'400'000'000, 91'000'000'000};
    });
}

void ScriptedEngine::setQuota(std::uint64_t bytes, Reply<DiskUse> reply) {
    quotaBytes = bytes;
    diskUse(std::move(reply));
}

void ScriptedEngine::tiers(const std::string& document, Reply<std::optional<TierView>> reply) {
    tierPolls.push_back(document);
    if (holdTiers) return heldTiers.push_back(std::move(reply));
    if (clock_.isActive() && pagesRead_.contains(document))
        tierView = madeUpTiers(static_cast<std::uint32_t>(pagesRead_.at(document) * kTokensPerPage),
                               kPages * kTokensPerPage, steps_);
    deliver<std::optional<TierView>>("tiers", reply, [this] { return Result(tierView); });
}

TierView ScriptedEngine::madeUpTiers(std::uint32_t tokens, std::uint32_t totalTokens, std::uint64_t steps) {
    constexpr std::uint32_t kLayers = 24, kHeads = 2, kChunk = 12;
    constexpr std::uint64_t kLeafBytes = 16 * 2 * 64, kFixedBytes = 9u << 20;
    TierView view;
    TierReport& report = view.report;
    const std::uint32_t leaves = tokens / 64 * 4;
    for (std::uint32_t row = 0; row < kLayers * kHeads; ++row) {
        LeafRow& to = view.rows.emplace_back(LeafRow{row / kHeads, row % kHeads, std::vector<LeafPlace>(leaves)});
        for (std::uint32_t i = 0; i < leaves; ++i) {
            LeafPlace& leaf = to.leaves[i];
            const std::uint32_t noise = (i / kChunk * 2654435761u + row * 40503u) >> 16;
            const double edge = i < 25 || i + 25 > leaves ? 0.8 : 0.15;
            const double use = steps == 0 ? 0 : edge * (0.3 + 0.7 * row / (kLayers * kHeads)) * (noise % 100) / 100;
            leaf.use = static_cast<std::uint16_t>(use * 65535);
            leaf.startsChunk = i % kChunk == 0 || noise % 7 == 0;
            // What is used comes to the device tier from wherever it was, and stays.
            const bool host = noise % 3 == 0;
            const std::uint64_t first = noise % 97;  // step of its first read
            const bool device = use > 0.08 && steps > first;
            leaf.tier = device ? Tier::Device : host ? Tier::Host : Tier::Disk;
            leaf.inHost = host;
            if (device) {
                leaf.reads[host ? 1 : 2] = 1;
                leaf.reads[0] = static_cast<std::uint32_t>(static_cast<double>(steps - first - 1) * use);
            }
            report.device.leaves += device ? 1 : 0;
            report.host.leaves += host ? 1 : 0;
            report.device.hits += leaf.reads[0];
            report.host.hits += leaf.reads[1];
            report.host.misses += leaf.reads[2];
        }
        report.disk.leaves += leaves;
    }
    report.device.misses = report.host.hits + report.host.misses;
    report.disk.hits = report.host.misses;
    report.device.usedBytes = report.device.peakBytes = report.device.leaves * kLeafBytes;
    report.host.usedBytes = report.host.peakBytes = report.host.leaves * kLeafBytes / 2 + kFixedBytes;
    report.device.budgetBytes = std::max<std::uint64_t>(64u << 20, report.device.usedBytes);
    report.host.budgetBytes = std::max<std::uint64_t>(256u << 20, report.host.usedBytes);
    report.disk.usedBytes = report.disk.leaves * kLeafBytes / 2;
    report.device.bytesRead = (report.device.hits + report.device.misses) * kLeafBytes;
    report.host.bytesRead = report.host.hits * kLeafBytes / 2;
    report.disk.bytesRead = report.disk.hits * kLeafBytes * 2;
    report.disk.stallS = static_cast<double>(report.disk.hits) * 2e-5;
    report.steps = steps;
    report.tokensReadShare = 0.041;
    report.judgingShare = 0.08;
    report.resident = false;
    report.codec = "k8v8";
    view.counting = 1;
    view.totalTokens = totalTokens;
    for (std::uint32_t page = 0; page * kTokensPerPage < totalTokens; ++page)
        view.pageStarts.push_back(static_cast<std::uint32_t>(page * kTokensPerPage));
    return view;
}

void ScriptedEngine::placeOf(const std::string&, std::uint32_t token, std::uint32_t count, Reply<Source> reply) {
    placesAsked.emplace_back(token, count);
    deliver<Source>("placeOf", reply, [token] {
        Source source;
        source.page = static_cast<std::uint32_t>(token / kTokensPerPage + 1);
        source.boxes = {{72, 110, 450, 25}};
        return source;
    });
}

void ScriptedEngine::add(const std::filesystem::path& file, const std::string& given,
                         std::function<void(std::uint32_t, std::uint32_t)> progress, std::stop_token,
                         Reply<DocumentRow> reply) {
    if (progress) progress(kPages, kPages);
    deliver<DocumentRow>("add", reply, [this, file, given]() -> Result<DocumentRow> {
        DocumentRow row = document(file.string());
        const bool encrypted = file.filename().string().find("enc") != std::string::npos;
        if (encrypted && given != password) row.state = DocumentState::NeedsPassword;
        const auto old = std::ranges::find(rows, row.sha256, &DocumentRow::sha256);
        if (old != rows.end())
            *old = row;
        else
            rows.insert(rows.begin(), row);
        return row;
    });
}

void ScriptedEngine::documents(Reply<std::vector<DocumentRow>> reply) {
    deliver<std::vector<DocumentRow>>("documents", reply, [this] { return rows; });
}

void ScriptedEngine::opened(const std::string&, Reply<void> reply) {
    deliver<void>("opened", reply, [] { return Status(); });
}

void ScriptedEngine::forget(const std::string& document, Reply<void> reply) {
    deliver<void>("forget", reply, [this, document] {
        std::erase_if(rows, [&](const DocumentRow& row) { return row.sha256 == document; });
        return Status();
    });
}

void ScriptedEngine::findAll(const std::string& words, Reply<std::vector<Hit>> reply) {
    deliver<std::vector<Hit>>("findAll", reply, [this, words] {
        return words.find("word") == std::string::npos ? std::vector<Hit>() : hits;
    });
}

void ScriptedEngine::newChat(const std::string& document, Reply<ChatRow> reply) {
    deliver<ChatRow>("newChat", reply, [this, document] {
        ChatRow chat{"chat" + std::to_string(++lastId_), document, {}, {}, lastId_};
        chatRows[document].insert(chatRows[document].begin(), chat);
        return chat;
    });
}

void ScriptedEngine::chats(const std::string& document, Reply<std::vector<ChatRow>> reply) {
    deliver<std::vector<ChatRow>>("chats", reply, [this, document] { return chatRows[document]; });
}

void ScriptedEngine::saveDraft(const std::string& chat, const std::string& draft, Reply<void> reply) {
    drafts.emplace_back(chat, draft);
    deliver<void>("saveDraft", reply, [] { return Status(); });
}

void ScriptedEngine::forgetChat(const std::string& chat, Reply<void> reply) {
    deliver<void>("forgetChat", reply, [this, chat] {
        for (auto& [document, list] : chatRows) std::erase_if(list, [&](const ChatRow& row) { return row.id == chat; });
        return Status();
    });
}

void ScriptedEngine::startTurn(const std::string& chat, const std::string& question, Reply<std::int64_t> reply) {
    deliver<std::int64_t>("startTurn", reply, [this, chat, question] {
        TurnRow turn;
        turn.id = ++lastId_;
        turn.chat = chat;
        turn.question = question;
        turnRows[chat].push_back(turn);
        return turn.id;
    });
}

void ScriptedEngine::saveTurn(const TurnRow& turn, Reply<void> reply) {
    savedTurns.push_back(turn);
    deliver<void>("saveTurn", reply, [this, turn] {
        for (TurnRow& row : turnRows[turn.chat])
            if (row.id == turn.id) row = turn;
        return Status();
    });
}

void ScriptedEngine::turns(const std::string& chat, Reply<std::vector<TurnRow>> reply) {
    deliver<std::vector<TurnRow>>("turns", reply, [this, chat] { return turnRows[chat]; });
}

void ScriptedEngine::pageSizes(const std::string& document, const std::string&, Reply<std::vector<PageSize>> reply) {
    deliver<std::vector<PageSize>>("pageSizes", reply, [this, document] {
        const auto row = std::ranges::find(rows, document, &DocumentRow::sha256);
        return std::vector<PageSize>(row == rows.end() ? 0 : row->pages, PageSize{595, 842});
    });
}

void ScriptedEngine::render(const std::string&, const std::string&, std::uint32_t page, std::uint32_t widthPx,
                            std::function<bool()> wanted, Reply<PageImage> reply) {
    deliver<PageImage>("render", reply, [&]() -> Result<PageImage> {
        if (!wanted()) return Error{Code::Cancelled, {}, {}};
        rendered.emplace_back(page, widthPx);
        const QImage image = drawPage(page, static_cast<int>(widthPx));
        PageImage out;
        out.width = static_cast<std::uint32_t>(image.width());
        out.height = static_cast<std::uint32_t>(image.height());
        out.stride = static_cast<std::uint32_t>(image.bytesPerLine());
        const auto* pixels = reinterpret_cast<const std::byte*>(image.constBits());
        out.pixels = std::make_shared<std::vector<std::byte>>(pixels, pixels + image.sizeInBytes());
        return out;
    });
}

void ScriptedEngine::text(const std::string&, Reply<std::string> reply) {
    deliver<std::string>("text", reply, [] { return std::string("# Notes\n\nFirst paragraph.\n\nSecond paragraph."); });
}

// Each page: the words "Page N of the scripted document" in one line, then "line 1" to "line 9".
void ScriptedEngine::words(const std::string&, const std::string&, std::uint32_t page, Reply<PageWords> reply) {
    deliver<PageWords>("words", reply, [page] {
        PageWords out;
        out.span = {page * 1000, 0};
        float x = 72, y = 64;
        const auto put = [&](const std::string& word, char after) {
            const auto width = 7.f * static_cast<float>(word.size());
            out.words.push_back({static_cast<std::uint32_t>(out.span.first + out.text.size()),
                                 static_cast<std::uint32_t>(word.size()),
                                 {x, y, width, 12}});
            out.text += word + after;
            x += width + 5;
            if (after == '\n') x = 72, y += 18;
        };
        for (const std::string word : {"Page", "#", "of", "the", "scripted", "document"})
            put(word == "#" ? std::to_string(page) : word, word == "document" ? '\n' : ' ');
        for (int line = 1; line < 10; ++line) put("line", ' '), put(std::to_string(line), '\n');
        out.text.pop_back();
        out.span.count = out.text.size();
        return out;
    });
}

void ScriptedEngine::outline(const std::string&, const std::string&, Reply<std::vector<OutlineEntry>> reply) {
    deliver<std::vector<OutlineEntry>>("outline", reply, [this] { return outlineEntries; });
}

void ScriptedEngine::links(const std::string&, const std::string&, std::uint32_t page,
                           Reply<std::vector<PageLink>> reply) {
    deliver<std::vector<PageLink>>("links", reply, [this, page] { return pageLinks[page]; });
}

void ScriptedEngine::find(const std::string&, const std::string&, const std::string& words,
                          Reply<std::vector<Found>> reply) {
    deliver<std::vector<Found>>("find", reply, [&]() -> Result<std::vector<Found>> {
        std::vector<Found> found;
        if (words == "word")
            for (const std::uint32_t page : {2u, 3u, 9u})
                found.push_back({page, {page * 1000, 4}, {{72, 100.f + static_cast<float>(page), 40, 12}}});
        return found;
    });
}

void ScriptedEngine::shutdown() {
    clock_.stop();
    shutDown = true;
}

void ScriptedEngine::tick() {
    std::erase_if(turns_, [this](Turn& turn) { return !stepTurn(turn); });
    if (!readings_.empty() && turns_.empty() && !stepReading(readings_.front())) readings_.erase(readings_.begin());
    std::erase_if(readings_, [this](Reading& r) { return r.request.stop.stop_requested() && !stepReading(r); });
}

Answer ScriptedEngine::answerOf(const Turn& turn, bool stopped) const {
    Answer answer;
    answer.text = script.substr(0, turn.written);
    answer.stopped = stopped;
    const auto pages = pagesRead_.find(turn.request.document);
    const auto read = pages == pagesRead_.end() ? 0 : static_cast<std::uint32_t>(pages->second);
    answer.coverage = {read, kPages, read * kTokensPerPage, kPages * kTokensPerPage};
    answer.coverage.goesOn = read < kPages;
    answer.sources = sources;
    answer.tokens = static_cast<std::uint32_t>(turn.written / kBytesPerToken);
    answer.timings.decodeTokensPerS = static_cast<double>(kBytesPerTick) / kBytesPerToken * 1000 / kTickMs;
    if (!memories.empty()) {
        answer.tiers.device.budgetBytes = memories.back().first;
        answer.tiers.host.budgetBytes = memories.back().second;
    }
    if (!sources.empty()) answer.pageShares.assign(kPages, 0);
    for (std::uint32_t page = 0; page < read && !sources.empty(); ++page)
        answer.pageShares[page] = 0.3f / static_cast<float>(read);
    for (const Source& source : sources)
        if (source.page > 0 && source.page <= kPages) answer.pageShares[source.page - 1] += 0.7f * source.share;
    return answer;
}

bool ScriptedEngine::stepTurn(Turn& turn) {
    const auto ticket = turn.request.ticket;
    if (turn.request.stop.stop_requested()) return emit answered(ticket, answerOf(turn, true)), false;
    if (++turn.ticks == 2) emit turnStage(ticket, TurnStage::Opening);
    if (turn.ticks == 6) emit turnStage(ticket, TurnStage::ReadingQuestion);
    if (turn.ticks == 12) emit turnStage(ticket, TurnStage::Answering);
    if (turn.ticks < 12) return true;
    ++steps_;
    std::size_t end = std::min(script.size(), turn.written + kBytesPerTick);
    while (end < script.size() && (static_cast<unsigned char>(script[end]) & 0xc0) == 0x80) ++end;
    emit turnText(ticket, QString::fromStdString(script.substr(turn.written, end - turn.written)));
    turn.written = end;
    if (end < script.size()) return true;
    return emit answered(ticket, answerOf(turn, false)), false;
}

bool ScriptedEngine::stepReading(Reading& reading) {
    const auto ticket = reading.request.ticket;
    if (reading.request.stop.stop_requested()) return emit readingEnded(ticket, Error{Code::Cancelled, {}, {}}), false;
    reading.pages = std::min<double>(kPages, reading.pages + kPagesPerTick);
    pagesRead_[reading.request.document] = reading.pages;
    emit readingProgress(ticket, progressAt(reading.pages));
    if (reading.pages < kPages) return true;
    return emit readingEnded(ticket, summary(reading.request.document, kPages, kPages)), false;
}

}  // namespace carrel::app
