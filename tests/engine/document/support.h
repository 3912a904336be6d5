#pragma once

#include "document/document.h"

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

namespace carrel::test {

/// A folder of its own for one test, gone with it.
class TempFolder {
  public:
    TempFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "carrel-document-XXXXXX").string();
        path_ = ::mkdtemp(name.data()) ? name : "";
    }
    ~TempFolder() { std::filesystem::remove_all(path_); }
    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

inline std::filesystem::path write(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
}

inline std::filesystem::path program(const std::filesystem::path& path, const std::string& script) {
    write(path, "#!/bin/sh\n" + script + "\n");
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
}

inline DocumentOptions withHelper(std::filesystem::path helper = CARREL_PDF, std::string password = {}) {
    DocumentOptions options;
    options.pdfHelper = std::move(helper);
    options.password = std::move(password);
    return options;
}

/// A PDF of objects 1 and up; the first is its catalog.
inline std::string pdfOfObjects(const std::vector<std::string>& bodies) {
    std::string out = "%PDF-1.4\n";
    std::vector<std::size_t> offsets;
    for (const auto& body : bodies) {
        offsets.push_back(out.size());
        out += std::to_string(offsets.size()) + " 0 obj\n" + body + "\nendobj\n";
    }
    const auto table = out.size();
    out += "xref\n0 " + std::to_string(offsets.size() + 1) + "\n0000000000 65535 f \n";
    for (const auto offset : offsets) {
        const auto digits = std::to_string(offset);
        out += std::string(10 - digits.size(), '0') + digits + " 00000 n \n";
    }
    return out + "trailer << /Size " + std::to_string(offsets.size() + 1) + " /Root 1 0 R >>\nstartxref\n" +
           std::to_string(table) + "\n%%EOF\n";
}

/// A PDF of one content stream a page (Letter), in Helvetica that is not embedded.
inline std::string pdfOf(const std::vector<std::string>& streams) {
    std::string kids;
    for (std::size_t i = 0; i < streams.size(); ++i) kids += std::to_string(4 + 2 * i) + " 0 R ";
    std::vector<std::string> bodies{
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [" + kids + "] /Count " + std::to_string(streams.size()) + " >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"};
    for (const auto& stream : streams) {
        bodies.push_back("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents " +
                         std::to_string(bodies.size() + 2) + " 0 R /Resources << /Font << /F1 3 0 R >> >> >>");
        bodies.push_back("<< /Length " + std::to_string(stream.size()) + " >>\nstream\n" + stream + "\nendstream");
    }
    return pdfOfObjects(bodies);
}

/// Lines at (x, y), y counted from the page's foot.
struct Shown {
    int x, y;
    std::string text;
};
inline std::string streamOf(const std::vector<Shown>& lines) {
    std::string stream = "BT /F1 11 Tf\n";
    for (const auto& [x, y, text] : lines)
        stream += "1 0 0 1 " + std::to_string(x) + " " + std::to_string(y) + " Tm (" + text + ") Tj\n";
    return stream + "ET";
}

/// A real document, or an empty path where this checkout has none; the test then says so and ends.
inline std::filesystem::path realPdf(const std::string& name) {
    const std::filesystem::path path = std::filesystem::path(CARREL_PDFS) / name;
    return std::filesystem::exists(path) ? path : "";
}

/// The helpers that this process has started.
inline std::vector<pid_t> children() {
    std::vector<pid_t> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const auto name = entry.path().filename().string();
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        std::ifstream in(entry.path() / "stat");
        std::string stat;
        std::getline(in, stat);
        const auto after = stat.rfind(") ");  // "pid (name) state parent ..."
        if (after != std::string::npos && std::atoi(stat.c_str() + after + 4) == ::getpid() && stat[after + 2] != 'Z')
            found.push_back(std::atoi(name.c_str()));
    }
    return found;
}

}  // namespace carrel::test

#define NEEDS_REAL_PDF(path, name)                                                   \
    const auto path = carrel::test::realPdf(name);                                   \
    if (path.empty()) {                                                              \
        MESSAGE("skipped: there is no " << (std::string(CARREL_PDFS "/") + (name))); \
        return;                                                                      \
    }
